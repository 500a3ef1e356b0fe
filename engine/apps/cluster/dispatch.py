"""Hands jobs to the workers of a cluster: a few at a time, again where one was lost, elsewhere where one failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from flare_trt.engine.base.errors import BudgetError, FlareError, InputError, ServiceError
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import Outcome, Tell
from flare_trt.engine.results.scan_report import ScanReport

#: How often a job is tried in all.
MOST_TRIES = 3
#: What would go wrong on every worker alike; anything else is tried elsewhere.
_FINAL = (InputError, BudgetError)

ScanOutcome = Outcome[Job, ScanReport]


@dataclass(frozen=True)
class Opened:
    """A worker can take jobs."""

    worker: int


@dataclass(frozen=True)
class Refused:
    """A worker cannot be used, and another one in its place would be no better."""

    worker: int
    error: FlareError


@dataclass(frozen=True)
class Died:
    """A worker is lost with all that it was doing."""

    worker: int
    reason: str


@dataclass(frozen=True)
class Finished:
    """A worker has done a job, well or not."""

    worker: int
    outcome: ScanOutcome


Event = Opened | Refused | Died | Finished


class Pool(Protocol):
    """Workers somewhere. `start` asks for one and returns its number; `next_event` waits for what happens next."""

    def start(self) -> int: ...

    def send(self, worker: int, job: Job) -> None: ...

    def next_event(self) -> Event: ...


@dataclass(frozen=True)
class _Task:
    """A job that is not finished. `deaths` of workers make it a suspect, which then has a worker to itself."""

    job: Job
    tried: frozenset[int] = frozenset()
    tries: int = 0
    deaths: int = 0


@dataclass
class Dispatcher:
    """Runs jobs on `workers` workers, at most `jobs_each` on one at a time. One use."""

    pool: Pool
    workers: int
    jobs_each: int
    tell: Tell[Job, ScanReport]
    _left: deque[_Task] = field(default_factory=deque)
    _running: dict[int, list[_Task]] = field(default_factory=dict)
    _starting: int = 0
    _losses: int = 0  # deaths since a job was last finished

    def run(self, jobs: Sequence[Job]) -> None:
        """Tell the outcome of each job, in the order in which they end. Raises FlareError where no worker is left."""
        self._left.extend(_Task(job) for job in jobs)
        for _ in range(min(self.workers, len(jobs))):
            self._start()
        while self._left or any(self._running.values()):
            self._hand_out()
            self._take(self.pool.next_event())

    def _start(self) -> None:
        self.pool.start()
        self._starting += 1

    def _hand_out(self) -> None:
        for worker, tasks in sorted(self._running.items(), key=lambda item: len(item[1])):
            while (task := self._task_for(worker, tasks)) is not None:
                self._left.remove(task)
                tasks.append(task)
                self.pool.send(worker, task.job)

    def _task_for(self, worker: int, running: list[_Task]) -> _Task | None:
        """The first task that the worker may take now."""
        if len(running) >= self.jobs_each or any(task.deaths for task in running):
            return None
        for task in self._left:
            alone = not task.deaths or not running
            elsewhere = worker in task.tried and not task.tried.issuperset(self._running)
            if alone and not elsewhere:
                return task
        return None

    def _take(self, event: Event) -> None:
        match event:
            case Opened(worker):
                self._starting -= 1
                self._running[worker] = []
            case Refused(_, error):
                self._starting -= 1
                if not self._running and not self._starting:
                    raise error
            case Died(worker, reason):
                self._bury(worker, reason)
            case Finished(worker, outcome):
                self._losses = 0
                self._judge(worker, outcome)

    def _bury(self, worker: int, reason: str) -> None:
        lost = self._running.pop(worker, None)
        if lost is None:
            self._starting -= 1
        self._losses += 1
        if self._losses > self.workers + MOST_TRIES:
            raise ServiceError(f"the cluster lost {self._losses} workers and finished no scan in between; the last one: {reason}")
        for task in lost or ():
            again = replace(task, tried=task.tried | {worker}, tries=task.tries + 1, deaths=task.deaths + 1)
            if again.tries < MOST_TRIES:
                self._left.appendleft(again)
            else:
                self._losses = 0
                error = ServiceError(f"{again.deaths} workers died over this scan; the last one: {reason}")
                self.tell(Outcome(task.job, None, error))
        self._start()

    def _judge(self, worker: int, outcome: ScanOutcome) -> None:
        tasks = self._running[worker]
        task = next(task for task in tasks if task.job == outcome.job)
        tasks.remove(task)
        if outcome.error is None or isinstance(outcome.error, _FINAL) or task.tries + 1 >= MOST_TRIES:
            self.tell(outcome)
        else:
            self._left.appendleft(replace(task, tried=task.tried | {worker}, tries=task.tries + 1))
