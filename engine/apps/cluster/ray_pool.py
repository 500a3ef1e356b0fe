"""Workers as actors of an existing Ray cluster, one a device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flare_trt.engine.apps.cluster.dispatch import Died, Dispatcher, Event, Finished, Opened, Refused
from flare_trt.engine.apps.cluster.worker import ScanWorker, WorkerSetup
from flare_trt.engine.base.errors import ServiceError
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import Tell
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.scan_report import ScanReport


@dataclass(frozen=True)
class Share:
    """How a cluster is divided: so many workers, each with these resources of Ray's and these options."""

    workers: int
    cpus: int
    gpus: int
    options: RunOptions


def share_of(nodes: Sequence[Mapping[str, Any]], options: RunOptions) -> Share:
    """One worker a GPU, or where none is to be used one a CPU node; `options.threads` cuts a node into several.

    `nodes` are ray.nodes(). Raises ServiceError.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = sum(int(resources.get("GPU", 0)) for resources in alive)
    if options.device not in ("auto", "cpu", "cuda:0"):
        raise ServiceError(f"device: got {options.device} on a Ray cluster, expected auto, cpu or cuda:0; Ray deals out the GPUs")
    if options.device == "cuda:0" or (options.device == "auto" and gpus):
        if not gpus:
            raise ServiceError("device cuda:0: the Ray cluster has no GPU; use --device cpu")
        return Share(gpus, 1, 1, replace(options, device="cuda:0"))
    cpus = [int(resources.get("CPU", 0)) for resources in alive if resources.get("CPU", 0) >= 1]
    each = options.threads or min(cpus, default=0)
    workers = sum(count // each for count in cpus) if each else 0
    if not workers:
        raise ServiceError(f"the Ray cluster has no node with {max(each, 1)} CPUs; use fewer --threads, or add a node")
    return Share(workers, each, 0, replace(options, device="cpu", threads=each))


def segment_on_ray(
    jobs: Sequence[Job], address: str, bundle: Path | None, options: RunOptions, tell: Tell[Job, ScanReport]
) -> None:
    """Segment jobs on the cluster at `address`; `tell` is called once a job. Raises FlareError where no worker is left."""
    with _connected(address) as ray:
        share = share_of(ray.nodes(), options)
        folders = sorted({path.parent for job in jobs for path in (job.scan, *job.outputs)})
        setup = WorkerSetup(bundle, share.options, Path.cwd(), tuple(folders), VERSION)
        # a second job is read while the first is segmented; where memory is bounded a worker holds one scan
        jobs_each = 2 if options.max_memory_mb is None else 1
        pool = RayPool(ray, share, setup, jobs_each)
        try:
            Dispatcher(pool, share.workers, jobs_each, tell).run(jobs)
        finally:
            pool.close()


class RayPool:
    """See dispatch.Pool. Ray restarts nothing by itself: who is lost, and what then, is the dispatcher's to know."""

    def __init__(self, ray: Any, share: Share, setup: WorkerSetup, jobs_each: int) -> None:
        self._ray = ray
        actor = ray.remote(ScanWorker).options(
            num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0, max_task_retries=0, max_concurrency=jobs_each
        )
        self._make: Callable[[], Any] = lambda: actor.remote(setup)
        self._actors: dict[int, Any] = {}
        self._awaited: dict[Any, int] = {}  # a call's reference -> its worker
        self._opening: set[Any] = set()
        self._started = 0

    def start(self) -> int:
        self._started += 1
        actor = self._actors[self._started] = self._make()
        call = actor.open.remote()
        self._opening.add(call)
        self._awaited[call] = self._started
        return self._started

    def send(self, worker: int, job: Job) -> None:
        sent = replace(job, source=None)  # an open zip does not travel
        self._awaited[self._actors[worker].run.remote(sent)] = worker

    def next_event(self) -> Event:
        from ray.exceptions import RayError, RayTaskError

        (call,), _ = self._ray.wait(list(self._awaited), num_returns=1)
        worker = self._awaited.pop(call)
        try:
            answer = self._ray.get(call)
        except RayTaskError:  # a fault of the program, in the worker's own words
            raise
        except RayError as error:
            self._opening.discard(call)
            self._forget(worker)
            return Died(worker, str(error).strip().splitlines()[0])
        if call not in self._opening:
            return Finished(worker, answer)
        self._opening.remove(call)
        if answer is None:
            return Opened(worker)
        self._forget(worker)
        return Refused(worker, answer)

    def close(self) -> None:
        """Give everything back to the cluster."""
        for worker in list(self._actors):
            self._forget(worker)

    def _forget(self, worker: int) -> None:
        self._awaited = {call: other for call, other in self._awaited.items() if other != worker}
        self._ray.kill(self._actors.pop(worker))


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ServiceError("--ray: Ray is not installed; pip install 'flare-trt[ray]'") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ServiceError(f"--ray {address}: there is no Ray cluster to be reached: {error}; start one with ray start") from error
    try:
        yield ray
    finally:
        ray.shutdown()
