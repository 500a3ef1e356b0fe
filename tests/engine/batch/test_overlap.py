"""Batches with steps that are functions of numbers: order, overlap, errors, memory, interrupts."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.batch.overlap import Outcome, Steps, first_read_early, run_in_turn, run_overlapped

RUNNERS = [run_in_turn, run_overlapped]
Numbers = Steps[int, int, int, str]


class Recorder:
    """Steps over integers (scan = 10 * job, labels = scan + 1) that note what was done and may be made to fail."""

    def __init__(self, **failures: tuple[int, BaseException]) -> None:
        self.failures, self.events = failures, []
        self.held, self.most_held = set(), 0
        self.lock = threading.Lock()

    @property
    def steps(self) -> Numbers:
        return Steps(self.read, self.segment, self.write)

    def read(self, job: int) -> int:
        with self.lock:
            self.held.add(job)
            self.most_held = max(self.most_held, len(self.held))
        self._note("read", job)
        return 10 * job

    def segment(self, job: int, scan: int) -> int:
        assert scan == 10 * job
        self._note("segment", job)
        return scan + 1

    def write(self, job: int, scan: int, labels: int) -> str:
        assert (scan, labels) == (10 * job, 10 * job + 1)
        self._note("write", job)
        return f"labels of {job}"

    def tell(self, outcome: Outcome[int, str]) -> None:
        self.held.discard(outcome.job)
        self.events.append(("tell", outcome.job, outcome.written or str(outcome.error)))

    def _note(self, step: str, job: int) -> None:
        if self.failures.get(step, (None,))[0] == job:
            raise self.failures[step][1]
        self.events.append((step, job))

    @property
    def told(self) -> list[tuple[int, str]]:
        return [event[1:] for event in self.events if event[0] == "tell"]


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_job_is_done_and_told_in_order(run: Callable[..., None], count: int) -> None:
    recorder = Recorder()
    run(list(range(count)), recorder.steps, recorder.tell)
    assert recorder.told == [(job, f"labels of {job}") for job in range(count)]
    assert len(recorder.events) == 4 * count


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("step", ["read", "segment", "write"])
@pytest.mark.parametrize("bad", [0, 2, 4])
@pytest.mark.parametrize("error", [InputError("bad"), OutputError("bad"), OSError("bad"), MemoryError("bad")])
def test_one_bad_scan_is_told_and_the_rest_go_on(run: Callable[..., None], step: str, bad: int, error: Exception) -> None:
    recorder = Recorder(**{step: (bad, error)})
    run(list(range(5)), recorder.steps, recorder.tell)
    assert recorder.told == [(job, "bad" if job == bad else f"labels of {job}") for job in range(5)]


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("step", ["read", "segment", "write"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_fault_of_the_program_and_an_interrupt_stop_the_batch(
    run: Callable[..., None], step: str, error: type[BaseException]
) -> None:
    recorder = Recorder(**{step: (1, error())})
    with pytest.raises(error):
        run(list(range(50)), recorder.steps, recorder.tell)
    assert [event for event in recorder.events if event[0] == "segment" and event[1] > 3] == []
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("read", "write"))]
    assert (0, "labels of 0") in recorder.told  # what was done before is whole


def test_reading_and_writing_overlap_with_segmenting() -> None:
    """Scan 1 is segmented only once scan 2 is being read and scan 0 being written: a deadlock if they did not overlap."""
    recorder = Recorder()
    reading_2, writing_0 = threading.Event(), threading.Event()

    def read(job: int) -> int:
        if job == 2:
            reading_2.set()
        return recorder.read(job)

    def segment(job: int, scan: int) -> int:
        if job == 1:
            assert reading_2.wait(20)
            assert writing_0.wait(20)
        return recorder.segment(job, scan)

    def write(job: int, scan: int, labels: int) -> str:
        if job == 0:
            writing_0.set()
        return recorder.write(job, scan, labels)

    run_overlapped(range(4), Steps(read, segment, write), recorder.tell)
    assert [job for job, _ in recorder.told] == [0, 1, 2, 3]


INTERRUPTED = """
import os, signal, time
from flare_trt.engine.batch.overlap import Steps, run_overlapped

done = []

def read(job):
    time.sleep(0.2)  # the caller is waiting for this scan by now
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)  # the interrupt reaches the caller's thread meanwhile
    done.append(job)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with interrupts ignored
try:
    run_overlapped(range(9), Steps(read, done.append, done.append), done.append)
except KeyboardInterrupt:
    print("interrupted after", done)
"""


def test_an_interrupt_starts_no_further_reading() -> None:
    """Ctrl-C while the first scan is read: the second one, which waits its turn, is never read. In a process of its own."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout == "interrupted after [0]\n", ended.stderr


def test_few_scans_are_held_at_once() -> None:
    for run, most in ((run_in_turn, 1), (run_overlapped, 3)):
        recorder = Recorder()
        run(range(40), recorder.steps, recorder.tell)
        assert recorder.most_held <= most
    assert recorder.most_held > 1


class Pixels:
    """A scan that can be watched."""


@pytest.mark.parametrize(("run", "most"), [(run_in_turn, 1), (run_overlapped, 3)])
@pytest.mark.parametrize("error", [None, InputError("bad")])
def test_scans_are_freed_though_their_errors_are_kept(run: Callable[..., None], most: int, error: InputError | None) -> None:
    """Without the garbage collector's help."""
    scans, alive, outcomes = [], [], []

    def read(job: int) -> Pixels:
        scan = Pixels()
        scans.append(weakref.ref(scan))
        alive.append(sum(ref() is not None for ref in scans))
        return scan

    def segment(job: int, scan: Pixels) -> int:
        if error is not None:
            raise InputError("bad") from error
        return job

    gc.disable()
    try:
        run(range(20), Steps(read, segment, lambda job, scan, labels: "written"), outcomes.append)
    finally:
        gc.enable()
    assert len(outcomes) == 20
    assert max(alive) <= most
    assert not any(ref() for ref in scans)


def test_the_first_job_is_read_before_it_is_asked_for_and_once() -> None:
    begun, read = threading.Event(), list[int]()

    def reads(job: int) -> str:
        read.append(job)
        begun.set()
        return f"scan {job}"

    with first_read_early([1, 2], reads) as read_job:
        assert begun.wait(10)
        assert [read_job(1), read_job(2), read_job(1)] == ["scan 1", "scan 2", "scan 1"]
    assert read == [1, 2, 1]


def test_an_error_of_the_early_reading_comes_when_it_is_asked_for() -> None:
    def fails(job: int) -> str:
        raise InputError("no scan")

    with first_read_early([1], fails) as read_job, pytest.raises(InputError, match="no scan"):
        read_job(1)
