"""How the worker ends by a fault of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flare_trt.engine.apps.pacs.metrics import Metrics
from flare_trt.engine.apps.pacs.study_queue import StudyQueue
from flare_trt.engine.apps.pacs.worker import Times, Worker
from flare_trt.engine.base.errors import ServiceError


class Receiver:
    """A door through which nobody comes."""

    stopped = False

    def start(self) -> None: ...

    def reap(self) -> None: ...

    def stop(self) -> None:
        self.stopped = True


def test_a_thread_s_fault_ends_the_worker_and_says_nothing_of_a_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def take(queue: StudyQueue) -> None:
        raise ValueError("DOE^JANE")

    monkeypatch.setattr(StudyQueue, "take", take)
    queue, receiver = StudyQueue(tmp_path), Receiver()
    runner: Any = SimpleNamespace(at_once=1)  # no study reaches it
    worker = Worker(queue, runner, lambda files: None, Times(), Metrics(queue))
    with caplog.at_level(logging.INFO), pytest.raises(ServiceError, match="a thread of the worker has ended by a fault, see above"):
        worker.work(receiver, None, lambda: None)  # type: ignore[arg-type]
    queue.close()
    assert receiver.stopped
    assert "run 1: a fault of the program, ValueError at test_worker.py" in caplog.text
    assert "JANE" not in caplog.text + "".join(capfd.readouterr())
