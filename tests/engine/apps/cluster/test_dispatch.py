"""How jobs are handed out, against a pool that does what the test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flare_trt.engine.apps.cluster.dispatch import MOST_TRIES, Died, Dispatcher, Event, Finished, Opened, Refused, ScanOutcome
from flare_trt.engine.base.errors import BundleError, DeviceError, InputError, OutputError, ServiceError
from flare_trt.engine.batch.jobs import Job

JOBS = tuple(Job(Path(f"ct{number}.nii"), Path(f"labels{number}.nii.gz")) for number in range(7))
#: What a worker makes of a job: an outcome, or None where it dies.
Does = Callable[[int, Job], ScanOutcome | None]


def well(worker: int, job: Job) -> ScanOutcome | None:
    return ScanOutcome(job, None)


@dataclass
class ScriptedPool:
    """Workers that open at once and finish their oldest job first, the busiest worker before the others."""

    does: Does = well
    opens: Callable[[int], Event] = Opened
    events: list[Event] = field(default_factory=list)
    running: dict[int, list[Job]] = field(default_factory=dict)
    sent: list[tuple[int, Job]] = field(default_factory=list)
    most: int = 0

    def start(self) -> int:
        worker = len(self.running) + 1
        self.running[worker] = []
        self.events.append(self.opens(worker))
        return worker

    def send(self, worker: int, job: Job) -> None:
        self.running[worker].append(job)
        self.sent.append((worker, job))
        self.most = max(self.most, sum(map(len, self.running.values())))

    def next_event(self) -> Event:
        if self.events:
            return self.events.pop(0)
        worker = max(self.running, key=lambda each: len(self.running[each]))
        job = self.running[worker][0]
        outcome = self.does(worker, job)
        if outcome is None:
            self.running[worker] = []
            return Died(worker, "out of memory")
        self.running[worker].remove(job)
        return Finished(worker, outcome)


def outcomes(pool: ScriptedPool, workers: int = 2, jobs_each: int = 2) -> dict[Job, ScanOutcome]:
    told: list[ScanOutcome] = []
    Dispatcher(pool, workers, jobs_each, told.append).run(JOBS)
    assert len({outcome.job for outcome in told}) == len(told)  # nothing is reported twice
    return {outcome.job: outcome for outcome in told}


def test_every_job_is_done_once_and_few_are_under_way() -> None:
    pool = ScriptedPool()
    assert set(outcomes(pool)) == set(JOBS)
    assert sorted(job.scan for _, job in pool.sent) == [job.scan for job in JOBS]
    assert pool.most == 4
    assert {worker for worker, _ in pool.sent} == {1, 2}


def test_no_more_workers_than_jobs() -> None:
    pool = ScriptedPool()
    outcomes(pool, workers=50)
    assert len(pool.running) == len(JOBS)


def test_what_a_dead_worker_had_is_done_by_others() -> None:
    pool = ScriptedPool(lambda worker, job: None if worker == 1 else well(worker, job))
    found = outcomes(pool)
    assert set(found) == set(JOBS)
    assert all(outcome.error is None for outcome in found.values())
    assert len(pool.running) == 3  # one in its place


def test_a_scan_that_kills_workers_is_given_up_and_takes_nobody_with_it() -> None:
    pool = ScriptedPool(lambda worker, job: None if job == JOBS[2] else well(worker, job))
    found = outcomes(pool, workers=1)
    assert [job for job in JOBS if found[job].error] == [JOBS[2]]
    assert str(found[JOBS[2]].error) == f"{MOST_TRIES} workers died over this scan; the last one: out of memory"
    assert len([worker for worker, job in pool.sent if job == JOBS[2]]) == MOST_TRIES


@pytest.mark.parametrize("error", [DeviceError("lost"), OutputError("full"), OSError(5, "broken"), MemoryError()])
def test_what_failed_on_one_worker_is_tried_on_another(error: DeviceError) -> None:
    pool = ScriptedPool(lambda worker, job: ScanOutcome(job, None, error) if worker == 1 else well(worker, job))
    found = outcomes(pool)
    assert all(outcome.error is None for outcome in found.values())
    for worker, job in pool.sent:
        assert pool.sent.count((worker, job)) == 1


def test_what_fails_everywhere_is_told_with_its_error() -> None:
    pool = ScriptedPool(lambda worker, job: ScanOutcome(job, None, OSError(5, "broken")) if job == JOBS[0] else well(worker, job))
    found = outcomes(pool)
    assert isinstance(found[JOBS[0]].error, OSError)
    assert len([job for _, job in pool.sent if job == JOBS[0]]) == MOST_TRIES


def test_a_scan_that_cannot_be_read_is_not_tried_again() -> None:
    pool = ScriptedPool(lambda worker, job: ScanOutcome(job, None, InputError("damaged")))
    assert len(outcomes(pool)) == len(pool.sent) == len(JOBS)


def test_a_node_that_is_of_no_use_is_left_out() -> None:
    pool = ScriptedPool(opens=lambda worker: Refused(worker, BundleError("not here")) if worker == 1 else Opened(worker))
    assert set(outcomes(pool)) == set(JOBS)
    assert {worker for worker, _ in pool.sent} == {2}


def test_no_node_is_of_any_use() -> None:
    with pytest.raises(BundleError, match="not here"):
        outcomes(ScriptedPool(opens=lambda worker: Refused(worker, BundleError("not here"))))


@pytest.mark.parametrize("opens", [Opened, lambda worker: Died(worker, "out of memory")])
def test_a_cluster_where_every_worker_dies_is_given_up(opens: Callable[[int], Event]) -> None:
    pool = ScriptedPool(lambda worker, job: None, opens)
    if opens is Opened:
        found = outcomes(pool)
        assert all(isinstance(outcome.error, ServiceError) for outcome in found.values())
    else:
        with pytest.raises(ServiceError, match="lost 6 workers and finished no scan in between; the last one: out of memory"):
            outcomes(pool)
