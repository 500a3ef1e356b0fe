"""Many jobs through three steps, the network never waiting for the disk: while one scan is segmented, the next one is read
and the last one written, each by a thread of its own.

At most three scans are in memory: one being read, one being segmented, one being written. Where memory is bounded,
`run_in_turn` does one step at a time and holds one scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from flare_trt.engine.base.errors import FlareError, without_frames

J = TypeVar("J")
S = TypeVar("S")
L = TypeVar("L")
W = TypeVar("W")

#: What one bad scan may raise; the others go on. Anything else is a fault of the program and stops the batch.
SCAN_ERRORS = (FlareError, OSError, MemoryError)
ScanError = FlareError | OSError | MemoryError


@dataclass(frozen=True)
class Steps(Generic[J, S, L, W]):
    """The three steps of a job. `segment` runs in the caller's thread, `read` and `write` in others."""

    read: Callable[[J], S]
    segment: Callable[[J, S], L]
    write: Callable[[J, S, L], W]


@dataclass(frozen=True)
class Outcome(Generic[J, W]):
    """What became of a job: what `write` returned, or the error."""

    job: J
    written: W | None
    error: ScanError | None = None


#: Called once a job, in order, when it has been written or has failed.
Tell = Callable[[Outcome[J, W]], None]


@contextmanager
def first_read_early(jobs: Sequence[J], read: Callable[[J], S]) -> Iterator[Callable[[J], S]]:
    """Begin to read the first job at once, in a thread; yields a `read` that hands it out and reads every other job itself.

    So a scan is unpacked while the networks are loaded.
    """
    with ThreadPoolExecutor(1, "read") as reader:
        begun = {jobs[0]: reader.submit(read, jobs[0])}

        def read_or_wait(job: J) -> S:
            return begun.pop(job).result() if job in begun else read(job)

        yield read_or_wait


def run_in_turn(jobs: Sequence[J], steps: Steps[J, S, L, W], tell: Tell[J, W]) -> None:
    """Do one step after another in the caller's thread."""
    for job in jobs:
        _finish(job, _segmented(job, partial(steps.read, job), steps.segment), steps.write, tell)


def run_overlapped(jobs: Sequence[J], steps: Steps[J, S, L, W], tell: Tell[J, W]) -> None:
    """Segment in the caller's thread, read one scan ahead and write one behind; `tell` is called by the writing thread.

    An interrupt waits for what is being read and written, and starts nothing new.
    """
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        try:
            writing: Future[None] | None = None
            for job, reading in _read_ahead(reader, jobs, steps.read):
                segmented = _segmented(job, reading.result, steps.segment)
                if writing is not None:
                    writing.result()
                writing = writer.submit(_finish, job, segmented, steps.write, tell)
            if writing is not None:
                writing.result()
        finally:
            reader.shutdown(wait=False, cancel_futures=True)


def _read_ahead(reader: ThreadPoolExecutor, jobs: Sequence[J], read: Callable[[J], S]) -> Iterator[tuple[J, Future[S]]]:
    """Yield each job with its reading, the next one's reading already under way."""
    ahead = [reader.submit(read, job) for job in jobs[:1]]
    for number, job in enumerate(jobs):
        reading = ahead.pop()
        ahead += [reader.submit(read, following) for following in jobs[number + 1 : number + 2]]
        yield job, reading


def _segmented(job: J, read: Callable[[], S], segment: Callable[[J, S], L]) -> tuple[S, L] | ScanError:
    try:
        scan = read()
        return scan, segment(job, scan)
    except SCAN_ERRORS as error:
        return without_frames(error)


def _finish(job: J, segmented: tuple[S, L] | ScanError, write: Callable[[J, S, L], W], tell: Tell[J, W]) -> None:
    outcome: Outcome[J, W]
    if isinstance(segmented, tuple):
        try:
            outcome = Outcome(job, write(job, *segmented))
        except SCAN_ERRORS as error:
            outcome = Outcome(job, None, without_frames(error))
    else:
        outcome = Outcome(job, None, segmented)
    tell(outcome)
