"""The queue and its thread without HTTP: how jobs end, what is kept, how it all stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.apps.serve.live import started, until

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.served_job import ServedJob
from flare_trt.engine.apps.serve.service import Closing, QueueFull, Service
from flare_trt.engine.base.errors import DeviceError

LIMITS = Limits(waiting_jobs=2)
Start = Callable[..., Service]


class Steps:
    """Stands in for reading, segmenting and writing: ten tiles, the gate before each; writes 100 bytes of labels."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started = 0
        self.error: Exception | None = None

    def __call__(self, job: ServedJob) -> None:
        self.started += 1
        for tile in range(10):
            while not self.gate.wait(0.01):
                job.require_wanted()
            job.on_tile("fine", tile + 1, 10)
        if self.error is not None:
            raise self.error
        job.labels.write_bytes(bytes(100))


def add(service: Service) -> ServedJob:
    with service.admitted() as job:
        job.upload.write_bytes(b"scan")
    return job


def finished(service: Service) -> ServedJob:
    job = add(service)
    assert job.ended.wait(10)
    return job


def counts(service: Service) -> dict[str, int]:
    lines = [line.split('"') for line in service.metrics.text().decode().splitlines() if line.startswith("flare_trt_jobs_total")]
    return {outcome: int(float(count.strip("} "))) for _, outcome, count in lines}


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services that end with the test."""
    with ExitStack() as services:
        yield lambda segment, limits=LIMITS, folder=tmp_path: services.enter_context(started(segment, limits, folder))


def test_a_job_whose_time_is_up_stops_and_the_next_one_runs(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps, replace(LIMITS, timeout_s=0.05))
    late = finished(service)
    steps.gate.set()
    assert (late.state, finished(service).state) == ("timed_out", "done")
    assert not late.folder.exists()
    assert counts(service) == {"timed_out": 1, "done": 1}


@pytest.mark.parametrize("error", [DeviceError("the card fell off"), MemoryError(), OSError(28, "No space left on device")])
def test_a_job_that_fails_leaves_nothing_and_the_next_one_runs(
    start: Start, steps: Steps, tmp_path: Path, error: Exception
) -> None:
    service = start(steps)
    steps.error = error
    steps.gate.set()
    failed = finished(service)
    assert (failed.state, failed.problem) == ("failed", str(error) or "MemoryError")
    assert list(tmp_path.iterdir()) == []
    assert failed.error is error
    assert error.__traceback__ is None  # its frames would keep the scan in memory as long as the job is remembered
    steps.error = None
    assert finished(service).state == "done"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_program_is_told_and_nobody_waits(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps)
    steps.error = ZeroDivisionError()
    jobs = [add(service), add(service)]
    until(lambda: steps.started == 1)
    steps.gate.set()
    assert all(job.ended.wait(10) for job in jobs)
    assert [job.state for job in jobs] == ["failed", "stopped"]
    until(lambda: not service.is_alive)
    with pytest.raises(Closing):
        add(service)


def test_the_queue_counts_uploads_too(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps)
    with service.admitted(), service.admitted(), pytest.raises(QueueFull):
        add(service)
    assert counts(service) == {"refused": 1}


@pytest.mark.parametrize("ends_in_time", [True, False])
def test_draining(start: Start, steps: Steps, tmp_path: Path, ends_in_time: bool) -> None:
    service = start(steps, replace(LIMITS, grace_s=30 if ends_in_time else 0.05))
    running = add(service)
    until(lambda: steps.started == 1)
    queued = add(service)
    draining = threading.Thread(target=service.drain)
    uploading = service.admitted()
    uploading.__enter__()
    draining.start()
    assert queued.ended.wait(10)
    with pytest.raises(Closing):  # the upload ends when nothing is taken any more
        uploading.__exit__(None, None, None)
    assert not service.is_ready
    if ends_in_time:
        steps.gate.set()
    draining.join(10)
    assert not draining.is_alive()
    assert (running.state, queued.state) == ("done" if ends_in_time else "stopped", "stopped")
    assert steps.started == 1
    assert [path.name for path in tmp_path.iterdir()] == ([running.id] if ends_in_time else [])


def test_results_are_kept_by_bytes(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps, replace(LIMITS, kept_bytes=250))
    steps.gate.set()
    jobs = [finished(service) for _ in range(3)]
    assert [service.find(job.id) for job in jobs] == [None, *jobs[1:]]
    assert {path.name for path in tmp_path.iterdir()} == {job.id for job in jobs[1:]}


def test_results_are_kept_by_number_failures_too(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps, replace(LIMITS, kept_jobs=2))
    steps.gate.set()
    steps.error = DeviceError("no")
    jobs = [finished(service) for _ in range(3)]
    assert [service.find(job.id) for job in jobs] == [None, *jobs[1:]]


def test_results_are_kept_for_a_time_though_nobody_asks(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps, replace(LIMITS, kept_s=0.1))
    steps.gate.set()
    job = finished(service)
    until(lambda: list(tmp_path.iterdir()) == [])
    assert service.find(job.id) is None


def test_a_job_cancelled_after_its_last_tile_is_forgotten(start: Start, tmp_path: Path) -> None:
    def segment(job: ServedJob) -> None:
        job.labels.write_bytes(bytes(100))
        service.cancel(job)

    service = start(segment)
    job = finished(service)
    assert (job.state, service.find(job.id), list(tmp_path.iterdir())) == ("cancelled", None, [])


def test_a_folder_that_is_gone_refuses_the_upload_and_gives_the_place_back(start: Start, steps: Steps, tmp_path: Path) -> None:
    service = start(steps, LIMITS, tmp_path / "jobs")
    with pytest.raises(FileNotFoundError):
        add(service)
    assert service.queue_length == 0
