"""The worker as a process: its threads, what it does every second, how it stops. One worker a folder."""

from __future__ import annotations

import fcntl
import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flare_trt.engine.apps.pacs.anonymous import told_fault
from flare_trt.engine.apps.pacs.metrics import Metrics
from flare_trt.engine.apps.pacs.receiver import Receiver
from flare_trt.engine.apps.pacs.runner import Runner, StoppedError
from flare_trt.engine.apps.pacs.sender import ArchiveAwayError, ArchiveRefusalError, Send
from flare_trt.engine.apps.pacs.study_queue import MOST_ATTEMPTS, Study, StudyQueue
from flare_trt.engine.base.errors import OutputError, ServiceError
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS

_LOG = logging.getLogger(__name__)
#: How often threads without work look for some; how long they leave a disk alone that is full.
_IDLE_S, _FULL_S = 0.2, 5.0
_TICK_S = 1.0
#: What a thread gets to end in good order: a tile, an answer of the archive. What is left undone is done after the next start.
_LAST_WORDS_S = 60.0
#: Pauses before an archive is tried again: the first, doubled each time, and the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10.0, 600.0
#: A worker that has not been heard of for so long is dead or stuck.
ALIVE_S = 60.0


class Source(Protocol):
    """What brings studies beside the receiver: `look` once, every so often."""

    def look(self) -> None: ...


@dataclass(frozen=True)
class Times:
    """Seconds: `quiet_s` until a study counts as complete, `keep_s` until the images and results of one that is done go."""

    quiet_s: float = 10.0
    keep_s: float = 24 * 3600.0
    look_s: float = 10.0


class Worker:
    """Runs and sends what is in a queue. Its threads overlap the reading and writing of studies; the networks take turns."""

    def __init__(self, queue: StudyQueue, runner: Runner, send: Send, times: Times, metrics: Metrics) -> None:
        self._queue, self._runner, self._send, self._times, self._metrics = queue, runner, send, times, metrics
        self._stop = threading.Event()
        self._threads = [self._thread(f"run {number}", self._run_one) for number in range(1, runner.at_once + 1)]
        self._threads.append(self._thread("send", self._send_one))

    def work(self, receiver: Receiver, source: Source | None, tell: Callable[[], None]) -> None:
        """Work until SIGTERM or SIGINT; `tell` is called once senders are let in. Raises ServiceError for a thread's fault."""
        if source is not None:
            self._threads.append(self._thread("look", lambda: self._look(source)))
        with _signals(self._stop):
            try:
                for thread in self._threads:
                    thread.start()
                receiver.start()
                tell()
                while not self._stop.wait(_TICK_S):
                    receiver.reap()
                    self._tick()
                    if not all(thread.is_alive() for thread in self._threads):
                        raise ServiceError("a thread of the worker has ended by a fault, see above; start it again")
            finally:
                self._stop.set()
                receiver.stop()
                for thread in self._threads:
                    if thread.is_alive():
                        thread.join(_LAST_WORDS_S)

    def _thread(self, name: str, do_one: Callable[[], bool]) -> threading.Thread:
        """A thread that does one thing after another; `do_one` returns whether there was any. A full disk is waited for."""

        def loop() -> None:
            while not self._stop.is_set():
                try:
                    worked = do_one()
                except OutputError as error:
                    _LOG.error("%s: %s", name, error)
                    self._stop.wait(_FULL_S)
                except Exception as error:  # noqa: BLE001  # the worker ends by it, and no value of a header may be printed
                    _LOG.critical("%s: %s", name, told_fault(error))
                    return
                else:
                    self._stop.wait(0.0 if worked else _IDLE_S)

        return threading.Thread(target=loop, name=name, daemon=True)

    def _tick(self) -> None:
        try:
            for job in self._queue.settle(self._times.quiet_s):
                _LOG.info("job %d: complete", job)
            for folder in self._queue.forget_done(time.time() - self._times.keep_s):
                shutil.rmtree(folder, ignore_errors=True)
            heartbeat(self._queue.folder).touch()
        except (OutputError, OSError) as error:
            _LOG.error("%s", error)

    def _run_one(self) -> bool:
        study = self._queue.take()
        if study is None:
            return False
        _LOG.info("job %d: running", study.job)
        try:
            self._runner.run(study, self._on_tile)
        except OutputError:  # what became of it could not be noted
            self._until_noted(lambda: self._queue.move(study, "waiting"))
            raise
        return True

    def _until_noted(self, note: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                note()
                return
            except OutputError as error:
                _LOG.error("%s", error)
                self._stop.wait(_FULL_S)

    def _on_tile(self, stage: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise StoppedError

    def _send_one(self) -> bool:
        study = self._queue.next_to_send()
        if study is None:
            return False
        try:
            self._send(self._runner.files(study))
        except ArchiveAwayError as error:
            self._send_later(study, str(error))
        except ArchiveRefusalError as error:  # an archive that is going down refuses too
            if study.attempts + 1 < MOST_ATTEMPTS:
                self._send_later(study, str(error))
            else:
                self._refused(study, str(error))
        except LIBRARY_ERRORS as error:
            self._refused(study, f"the results cannot be read ({type(error).__name__}); retry it")
        else:
            self._queue.move(study, "done")
            self._metrics.send("kept")
            _LOG.info("job %d: done", study.job)
        return True

    def _send_later(self, study: Study, problem: str) -> None:
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(study.attempts, 10))
        _LOG.warning("job %d: %s; again in %.0f s", study.job, problem, pause_s)
        self._queue.move(study, "sending", problem, time.time() + pause_s)
        self._metrics.send("later")

    def _refused(self, study: Study, problem: str) -> None:
        _LOG.error("job %d: failed: %s", study.job, problem)
        self._queue.move(study, "failed", problem)
        self._metrics.send("refused")

    def _look(self, source: Source) -> bool:
        source.look()
        self._stop.wait(self._times.look_s)
        return True


def heartbeat(folder: Path) -> Path:
    """The file that a living worker touches every second."""
    return folder / "alive"


@contextmanager
def own_queue(folder: Path) -> Iterator[StudyQueue]:
    """The queue of a folder for the one worker that may have it, tidied after the last one. Raises ServiceError, OutputError."""
    queue = StudyQueue(folder)
    try:
        with (folder / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ServiceError(f"{folder}: another worker runs on this queue; name another folder") from error
            queue.recover()
            for left in queue.folders_of_nobody():
                shutil.rmtree(left, ignore_errors=True)
            for part in folder.glob("studies/*/*/.*.part"):  # of files that were being written
                part.unlink(missing_ok=True)
            yield queue
    finally:
        queue.close()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT let the worker stop before its next tile."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    kinds = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(kind, lambda number, frame: stop.set()) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
