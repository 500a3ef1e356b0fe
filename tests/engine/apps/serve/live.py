"""Services and servers on loopback that end with the test, and a segmenter whose tiles wait until the test lets them go."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from tests.engine.fake_bundle import fake_spec
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.access import Door
from flare_trt.engine.apps.serve.app import build_app
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import SegmentUpload
from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.base.run_report import RunReport
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.segmenter import Segmentation, StageProgress

JOBS = "/v1/segmentations"
UPLOAD = {"content-type": "application/octet-stream"}
LIMIT_S = 120.0


def scan_bytes(folder: Path, seed: int = 0, name: str = "ct.nii.gz") -> bytes:
    """A small CT-like NIfTI file; another one for each seed."""
    hu = np.random.default_rng(seed).normal(0, 300, (19 + seed, 37, 31)).astype("<i2")
    return write_raw(folder / name, hu, AXIAL).read_bytes()


@dataclass
class GatedSegmenter:
    """Bands the HU in `tiles` tiles; each waits for `let(1)` unless `open_gate` was called."""

    tiles: int = 5
    tiles_run: int = 0
    spec: ModelSpec = field(default_factory=fake_spec)
    _gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _open: bool = False

    def let(self, tiles: int) -> None:
        self._gate.release(tiles)

    def open_gate(self) -> None:
        self._open = True
        self._gate.release(100)

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
        assert progress is not None
        for tile in range(self.tiles):
            if not (self._open or self._gate.acquire(timeout=LIMIT_S)):
                raise DeviceError("the gate stayed shut")  # the test is over
            self.tiles_run += 1
            progress("fine", tile + 1, self.tiles)
        labels = np.digitize(ct.array, [-100, 0, 100]).astype(np.uint8)
        report = RunReport(
            *("0", "bands", "exact", "cpu", "asked for", "none", "fake", "fp32"), {"network": 0.5}, {"fine": 5}, None, ()
        )
        return Segmentation(Volume(labels, ct.grid), report)


@contextmanager
def started(
    segment: SegmentUpload, limits: Limits, folder: Path, let_go: Callable[[], None] = lambda: None, kept: bool = False
) -> Iterator[Service]:
    """A service whose thread ends with the block; `let_go` frees a job that waits for the test."""
    service = Service(segment, limits, folder, kept)
    try:
        yield service
    finally:
        let_go()
        service.limits = replace(limits, grace_s=0.0)  # what still runs is stopped
        service.drain()


@contextmanager
def live(service: Service, token: str | None = None, **door: Any) -> Iterator[httpx.Client]:
    """A client of a real server, which ends with the block; the service goes on. `door`: further fields of its Door."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(build_app(service, Door(token=token, **door)), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers=UPLOAD, timeout=LIMIT_S) as client:
            yield client
    finally:
        service.stop_running()
        server.should_exit = True
        thread.join()


def until(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait for something that others bring about."""
    end_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.01)


def counted(client: httpx.Client, outcome: str) -> int:
    """Jobs of an outcome, from /metrics."""
    wanted = f'flare_trt_jobs_total{{outcome="{outcome}"}} '
    lines = client.get("/metrics").text.splitlines()
    return next((int(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted)), 0)
