"""Segmenting sends nothing anywhere and leaves nothing of a scan outside of the output, whatever the libraries would like to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engine.scans.nifti_files import AXIAL, write_raw
from tests.engine.tiny_bundle import write_tiny_bundle

ROOT = Path(__file__).resolve().parents[2]

#: Runs the command with every way to a network watched.
WATCHED = """
import socket, sys
tried = []
def watch(name):
    real = getattr(socket.socket, name)
    def called(self, *arguments):
        if self.family != socket.AF_UNIX:
            tried.append((name, arguments))
        return real(self, *arguments)
    setattr(socket.socket, name, called)
for name in ("connect", "connect_ex", "sendto"):
    watch(name)
real_lookup = socket.getaddrinfo
def lookup(*arguments, **named):
    tried.append(("getaddrinfo", arguments))
    return real_lookup(*arguments, **named)
socket.getaddrinfo = lookup
from flare_trt.engine.apps.cli import main
code = main(sys.argv[1:])
import concurrent.futures.thread as pool, threading, time
deadline = time.monotonic() + 20
while any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate()) and time.monotonic() < deadline:
    time.sleep(0.1)  # what a library handed to a thread of its own
print(code, tried, "openvino_telemetry" in sys.modules)
"""


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_nothing_is_sent_and_the_home_folder_gets_compiled_networks_alone(tmp_path: Path, backend: str, mode: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    scan = write_raw(tmp_path / "ct.nii", np.random.default_rng(0).integers(-900, 300, (15, 21, 19)).astype("<i2"), AXIAL)
    words = ["segment", str(scan), "-o", str(tmp_path / "out" / "labels.nii"), "--model", str(write_tiny_bundle(tmp_path / "tiny"))]
    environment = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("XDG_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT / "build" / "typing"), "TMPDIR": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words, "--device", "cpu", "--backend", backend, "--mode", mode],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["0 [] False"], done.stderr
    left = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*")) if path.is_file()]
    kept = rf"\.cache/flare-trt/openvino/[0-9a-f]{{24}}-(?:{'bf16|fp32' if mode == 'fast' else 'fp32'})-[0-9a-f]{{12}}\.blob"
    assert all(re.fullmatch(kept, name) for name in left), left
    assert bool(left) == (backend == "openvino")
    for name in left:  # nothing of the scan: what was made from the network alone says so in its first line
        assert set(json.loads((home / name).read_bytes().partition(b"\n")[0])) == {"key", "sha256"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.nii"]


def test_libraries_that_report_are_imported_in_one_place() -> None:
    loads = re.compile(r"^\s*(?:import|from) (?:onnxruntime|openvino)\b(?! import opset)", re.MULTILINE)
    folders = ("kernels", "engine", "export", "benchmarks", "training")
    found = [path.name for folder in folders for path in (ROOT / folder).rglob("*.py") if loads.search(path.read_text())]
    assert found == []
