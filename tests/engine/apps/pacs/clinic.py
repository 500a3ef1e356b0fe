"""A clinic on loopback: Orthanc as the PACS, DCMTK as the scanner, and the worker, each a process that ends with the test."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.apps.pacs.seen_studies import SeenStudies
from flare_trt.engine.apps.pacs.study_queue import Study, StudyQueue

ROOT = Path(__file__).resolve().parents[4]
SLOW = ROOT / "tests" / "engine" / "apps" / "cli" / "slow_server.py"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
#: How long something may take on the slowest machine.
LIMIT_S = 600.0


def program(name: str, package: str) -> str:
    """A program of Debian. Skips the test where it is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return found


def until(holds: Callable[[], Any], what: str = "it") -> Any:
    """Wait for something that others bring about; returns it."""
    end_s = time.monotonic() + LIMIT_S
    while not (found := holds()):
        assert time.monotonic() < end_s, f"{what} did not come about"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def write_study(folder: Path, seed: int = 0, slices: int = 12) -> Path:
    """A CT series of its own study; returns the folder."""
    return write_series(folder, small_ct((slices, 33, 29), seed), Look(spacing_mm=(3.0, 2.1, 2.0)))


@dataclass
class Orthanc:
    """A PACS whose storage outlasts a restart. `worker_port`: where it sends to as the modality flare."""

    folder: Path
    worker_port: int
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What the worker sends to."""
        return f"ORTHANC@127.0.0.1:{self.dicom_port}"

    @property
    def web(self) -> str:
        """Its DICOMweb."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = [program("Orthanc", "orthanc"), self._configuration()]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, "Orthanc's answer")

    def stop(self, at_once: bool = False) -> None:
        """End it, in good order if not `at_once`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
            self._process.wait()
            self._process = None

    def ask(self, path: str, body: Any = None) -> Any:
        """GET an address, or POST JSON to it; the JSON of the answer. Raises httpx.HTTPError."""
        address = f"http://127.0.0.1:{self.http_port}{path}"
        answer = httpx.get(address, timeout=60) if body is None else httpx.post(address, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def instances(self, modality: str) -> list[str]:
        """SOP instance UIDs of all objects of a modality, sorted."""
        found = self.ask("/tools/find", {"Level": "Series", "Query": {"Modality": modality}, "Expand": True})
        instances = [name for series in found for name in series["Instances"]]
        return sorted(self.ask(f"/instances/{name}")["MainDicomTags"]["SOPInstanceUID"] for name in instances)

    def file(self, sop_uid: str) -> bytes:
        """An object as it is stored."""
        (name,) = self.ask("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_uid}})
        return httpx.get(f"http://127.0.0.1:{self.http_port}/instances/{name}/file", timeout=60).content

    def segmentations(self) -> dict[str, Any]:
        """All DICOM-SEGs, by the series that each refers to; a series has one: an object stands there once, whatever was sent."""
        found = [pydicom.dcmread(io.BytesIO(self.file(uid))) for uid in self.instances("SEG")]
        by_series = {str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID): seg for seg in found}
        assert len(by_series) == len(found)
        return by_series

    def take(self, folder: Path) -> None:
        """Store the files of a folder."""
        for file in sorted(folder.iterdir()):
            httpx.post(f"http://127.0.0.1:{self.http_port}/instances", content=file.read_bytes(), timeout=60).raise_for_status()

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/system"))
        except httpx.HTTPError:
            return False

    def _configuration(self) -> str:
        storage = self.folder / "storage"
        storage.mkdir(parents=True, exist_ok=True)
        values = {
            "StorageDirectory": str(storage),
            "IndexDirectory": str(storage),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomModalities": {"flare": ["FLARE", "127.0.0.1", self.worker_port]},
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [str(DICOMWEB)] if DICOMWEB.exists() else [],
            "DicomWeb": {"Enable": True},
        }
        file = self.folder / "orthanc.json"
        file.write_text(json.dumps(values))
        return str(file)


@contextmanager
def orthanc(folder: Path, worker_port: int) -> Iterator[Orthanc]:
    """A running Orthanc. Skips the test where it is not installed."""
    pacs = Orthanc(folder, worker_port)
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop(at_once=True)


@dataclass
class WorkerProcess:
    """`flare-trt pacs run`, as a rule with a fake network, which dawdles while the file `gate` is missing."""

    queue: Path
    bundle: Path
    options: Sequence[str]
    port: int = field(default_factory=free_port)
    network: tuple[str, ...] = ("--backend", "fake", "--device", "cpu", "--threads", "1", "--min-free", "1MB")
    gate: Path = field(init=False)
    log: Path = field(init=False)
    _process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.gate, self.log = (self.queue.with_name(f"{self.queue.name}.{end}") for end in ("gate", "log"))
        self.gate.touch()

    def start(self) -> None:
        """Start it and wait until senders are let in."""
        words = ["pacs", "run", str(self.queue), "--model", str(self.bundle), "--port", str(self.port), *self.options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "build" / "typing")}
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(SLOW), str(self.gate), *words, *self.network],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline(), self._process.stdout.readline()]
        assert re.fullmatch(r"listening as FLARE on 127\.0\.0\.1, port \d+\n", lines[1]), (lines, self.log.read_text())

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it in good order; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(LIMIT_S)

    def listed(self) -> list[dict[str, Any]]:
        """What `flare-trt pacs list --json` prints."""
        return list(json.loads(self.command("list", "--json").stdout))

    def studies(self) -> list[Study]:
        """What is in the queue, read without another process."""
        queue = StudyQueue(self.queue)
        try:
            return queue.studies()
        finally:
            queue.close()

    def has_looked(self) -> bool:
        """Whether its first look at a watched archive has ended."""
        queue = StudyQueue(self.queue)
        try:
            return not SeenStudies(queue).first_look()
        finally:
            queue.close()

    def states(self) -> list[str]:
        """The state of each job."""
        return [study.state for study in self.studies()]

    def command(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`flare-trt pacs NAME QUEUE WORDS`."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "build" / "typing")}
        return subprocess.run(
            [sys.executable, "-m", "flare_trt.engine", "pacs", name, str(self.queue), *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def worker(queue: Path, bundle: Path, *options: str, port: int | None = None) -> Iterator[WorkerProcess]:
    """A running worker."""
    process = WorkerProcess(queue, bundle, options, port or free_port())
    process.start()
    try:
        yield process
    finally:
        process.kill()


def send(port: int, folder: Path, caller: str = "SCANNER", called: str = "FLARE") -> subprocess.CompletedProcess[str]:
    """Send the files of a folder by DCMTK's storescu, in one association."""
    words = [program("storescu", "dcmtk"), "-aet", caller, "-aec", called, "127.0.0.1", str(port)]
    return subprocess.run(
        [*words, *map(str, sorted(folder.iterdir()))], capture_output=True, text=True, errors="replace", check=False
    )


def deliver(study: Path, port: int) -> None:
    """Send as a scanner does: again, until all is taken."""
    while send(port, study).returncode != 0:
        time.sleep(0.5)
