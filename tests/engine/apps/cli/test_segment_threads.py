"""What threads do in `flare-trt segment`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.engine.apps.cli.banding import spoil

from flare_trt.engine.apps.cli import main
from flare_trt.engine.batch import scan_steps
from flare_trt.engine.segmenter import Segmenter


@pytest.mark.usefixtures("fake")
def test_threads_take_short_turns_meanwhile(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns_s, before_s, opened = list[float](), sys.getswitchinterval(), Segmenter.open
    assert before_s > 0.001

    def open_noting(*arguments: object) -> Segmenter:
        turns_s.append(sys.getswitchinterval())
        return opened(*arguments)  # type: ignore[arg-type]  # the fake one takes anything

    monkeypatch.setattr(Segmenter, "open", open_noting)
    spoil(scans, "case1_0000.nii.gz", 667)
    assert main(["segment", str(scans), "-o", str(tmp_path / "out"), "--model", "m"]) == 130
    assert turns_s == [pytest.approx(0.0005)]
    assert sys.getswitchinterval() == before_s


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("threads", "threads_that_read"), [("1", {"MainThread"}), ("2", {"read_0"})])
def test_one_thread_reads_segments_and_writes_in_turn(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str, threads_that_read: set[str]
) -> None:
    by, read = set[str](), scan_steps.read_scan

    def read_noting(*arguments: Any) -> scan_steps.Scan:
        by.add(threading.current_thread().name)
        return read(*arguments)

    monkeypatch.setattr(scan_steps, "read_scan", read_noting)
    assert main(["segment", str(scans), "-o", str(tmp_path / "out"), "--model", "m", "--threads", threads]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert by == threads_that_read
