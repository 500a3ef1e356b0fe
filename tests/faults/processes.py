"""Faults of processes, threads, memory and devices. Each function injects one `times` times and says what happened."""

from __future__ import annotations

import random
import re
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.faults.files import Told, batch
from tests.faults.setting import command, finished, make_bundle, make_scans, temporary

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.batch.overlap import Steps, run_in_turn, run_overlapped
from flare_trt.engine.batch.scan_steps import ct_reader, scan_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.fake import FakeSession

_SCANS = 20


def _stopped_and_resumed(folder: Path, times: int, how: signal.Signals) -> tuple[int, list[int], int]:
    """Whole files before each resume, exit codes, and half-written files that stayed."""
    scans, bundle = make_scans(folder / "scans", _SCANS), make_bundle(folder / "bundle")
    rng, codes, before, left = random.Random(0), [], 0, 0
    for turn in range(times):
        out = folder / f"out{turn}"
        out.mkdir()
        words = (scans, "-o", out, "--model", bundle, "--resume")
        running = command(*words)
        wanted = rng.randrange(_SCANS - 1)
        while running.poll() is None and len(list(out.glob("[!.]*.nii.gz"))) < wanted:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        running.send_signal(how)
        running.communicate(timeout=60)
        codes.append(running.returncode)
        whole = finished(out)
        before += len(whole)
        left += len(temporary(out))
        again = command(*words)
        assert again.communicate(timeout=120)[0].startswith(f"{len(whole)} of {_SCANS} scans are finished already")
        assert again.returncode == 0
        after = finished(out)
        assert len(after) == _SCANS, "a scan was lost"
        assert all(after[name] == file for name, file in whole.items()), "a whole file was written again"
    return before, codes, left


def killed(folder: Path, times: int) -> str:
    """SIGKILL at a random time of a batch of 20; then --resume."""
    before, codes, left = _stopped_and_resumed(folder, times, signal.SIGKILL)
    assert set(codes) <= {-9, 0}
    made = _SCANS * times - before
    return f"{before} files were whole, none was written again, --resume made the other {made}; {left} hidden .part files"


def terminated(folder: Path, times: int) -> str:
    """SIGTERM at a random time of a batch of 20; then --resume."""
    before, codes, left = _stopped_and_resumed(folder, times, signal.SIGTERM)
    assert set(codes) <= {143, 0, -15}, codes  # -15: before Python was up
    assert left == 0
    return f"exit code 143 after the scan at hand; {before} files were whole and none was written again, no .part file"


def little_memory(folder: Path, times: int) -> str:
    """ulimit -v from far too little to enough, for a scan of 150 x 160 x 170."""
    scans, bundle = make_scans(folder / "scans", 1, (150, 160, 170)), make_bundle(folder / "bundle", (64, 80, 72))
    ends: dict[str, int] = {}
    whole = None
    for turn in range(times):
        out = folder / f"out{turn}"
        limit = (260 + 1200 * turn // max(1, times - 1)) << 20
        with mock.patch.object(subprocess, "Popen", _limited(limit)):
            running = command(scans, "-o", out, "--model", bundle)
        _, errors = running.communicate(timeout=300)
        written = [data for _, data in finished(out).values()] if out.exists() else []
        assert running.returncode >= 0, f"a crash: {running.returncode}"
        assert running.returncode or written
        for labels in written:  # they may be whole and the run still fail, measuring them
            assert whole in (None, labels), "less memory, other labels"
            whole = labels
        ours = re.search(r"^flare-trt: ", errors, re.MULTILINE)
        word = "labels" if running.returncode == 0 else "an error of ours" if ours else "no start of Python or NumPy"
        ends[word] = ends.get(word, 0) + 1
    assert "labels" in ends
    return ", ".join(f"{count} times {word}" for word, count in sorted(ends.items())) + "; the labels are the same, never cut off"


def _limited(limit: int) -> Any:
    real = subprocess.Popen

    def start(*arguments: Any, **named: Any) -> Any:
        return real(*arguments, **named, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))

    return start


def dying_thread(folder: Path, times: int) -> str:
    """The reading or the writing thread raises something that is no fault of a scan."""
    whole = 0
    for turn in range(times):
        place = folder / str(turn)
        place.mkdir()
        told: Told = []
        with batch(place, 5) as (jobs, segmenter):
            steps = scan_steps(segmenter, ct_reader(RunOptions()), lambda _: None)
            bad = jobs[turn % 5]

            def dies(job: Any, *rest: Any, step: Any, bad: Any = bad) -> Any:
                if job is bad:
                    raise RuntimeError("the thread died")
                return step(job, *rest)

            broken = [steps.read, steps.segment, steps.write]
            at = (0, 2)[turn % 2]
            broken[at] = lambda *words, step=broken[at], dies=dies: dies(*words, step=step)
            with pytest.raises(RuntimeError, match="the thread died"):
                run_overlapped(jobs, Steps(*broken), told.append)
        whole += len(finished(place / "labels"))
        assert temporary(place / "labels") == []
    return f"the batch stops with the thread's error, {whole} files written before are whole, no thread is left"


def lost_gpu(folder: Path, times: int) -> str:
    """The device is lost at a random tile (a fake session that raises DeviceError from then on)."""
    rng, failed = random.Random(0), 0
    for turn in range(times):
        place = folder / str(turn)
        place.mkdir()
        told: Told = []
        with batch(place, 3) as (jobs, segmenter):
            left = iter(range(rng.randrange(80)))
            run = FakeSession.run

            def lost(self: FakeSession, tile: Any, left: Any = left, run: Any = run) -> Any:
                if next(left, None) is None:
                    raise DeviceError("cuda:0: the device was lost; restart the process")
                return run(self, tile)

            with mock.patch.object(FakeSession, "run", lost):
                (run_overlapped, run_in_turn)[turn % 2](
                    jobs, scan_steps(segmenter, ct_reader(RunOptions()), lambda _: None), told.append
                )
        errors = [outcome.error for outcome in told if outcome.error]
        assert errors, "a lost device went unnoticed"
        assert all(isinstance(error, DeviceError) for error in errors)
        assert len(finished(place / "labels")) == len(told) - len(errors)
        failed += len(errors)
    return f"{failed} scans reported as failed with DeviceError, no labels of theirs written, those before are whole"
