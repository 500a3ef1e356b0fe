"""The queue: each state and what leads to it, in this process and another one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flare_trt.engine.apps.pacs.study_queue import BROKEN_OFF, MOST_ATTEMPTS, Study, StudyQueue
from flare_trt.engine.base.errors import InputError, OutputError


@pytest.fixture
def queue(tmp_path: Path) -> StudyQueue:
    return StudyQueue(tmp_path / "queue")


def arrived(queue: StudyQueue, study: str = "abc") -> Study:
    """A study that has come whole and is complete."""
    job = queue.begin_delivery(study, "CT1").job
    queue.end_delivery(job, True, time.time())
    queue.settle(0.0)
    return found(queue, job)


def found(queue: StudyQueue, job: int) -> Study:
    return next(study for study in queue.studies() if study.job == job)


def taken(queue: StudyQueue) -> Study:
    study = queue.take()
    assert study is not None
    return study


def test_from_arrival_to_the_archive(queue: StudyQueue) -> None:
    study = arrived(queue)
    assert (study.job, study.state, study.source) == (1, "waiting", "CT1")
    running = taken(queue)
    assert (running.state, running.attempts) == ("running", 1)
    assert queue.take() is None
    queue.finish_run(running.job)
    sending = queue.next_to_send()
    assert sending is not None
    queue.move(sending, "done")
    assert found(queue, 1).state == "done"
    assert queue.next_to_send() is None


def test_the_one_that_has_waited_longest_comes_first(queue: StudyQueue) -> None:
    assert [arrived(queue, name).job for name in ("c", "a", "b")] == [1, 2, 3]
    assert [taken(queue).job for _ in range(3)] == [1, 2, 3]


def test_a_study_is_complete_when_nobody_sends_and_it_is_quiet(queue: StudyQueue) -> None:
    first, second = (queue.begin_delivery("abc", name) for name in ("CT1", "CT2"))
    assert first.job == second.job
    queue.end_delivery(first.job, True, 0.0)
    assert queue.settle(0.0) == []  # the second one still sends
    queue.end_delivery(first.job, True, 0.0)
    assert queue.settle(1000.0) == []
    assert queue.settle(0.0) == [first.job]


def test_half_a_study_is_not_run_until_it_is_sent_again_or_a_person_says_so(queue: StudyQueue) -> None:
    began_s = time.time()
    job = queue.begin_delivery("abc", "CT1").job
    queue.end_delivery(job, False, began_s)
    assert queue.settle(0.0) == []
    assert found(queue, job).problem == BROKEN_OFF
    queue.begin_delivery("abc", "CT1")
    queue.end_delivery(job, True, began_s)  # began before the break: says nothing of what is missing
    assert queue.settle(0.0) == []
    again_s = time.time()
    queue.begin_delivery("abc", "CT1")
    queue.end_delivery(job, True, again_s)
    assert queue.settle(0.0) == [job]
    assert found(queue, job).problem is None
    other = queue.begin_delivery("other", "CT1").job
    queue.end_delivery(other, False, 0.0)
    queue.retry(other)
    assert found(queue, other).state == "waiting"


def test_images_that_come_during_the_run_make_it_run_again(queue: StudyQueue) -> None:
    for outcome in ("finish", "refuse"):
        arrived(queue)
        running = taken(queue)
        queue.begin_delivery("abc", "CT1")
        assert found(queue, running.job).state == "running"
        queue.end_delivery(running.job, True, time.time())
        if outcome == "finish":
            queue.finish_run(running.job)
        else:
            queue.move(running, "refused", "a gap")
        assert (found(queue, running.job).state, found(queue, running.job).problem) == ("received", None)


def test_images_that_come_for_results_that_wait_to_be_sent_make_it_run_again(queue: StudyQueue) -> None:
    arrived(queue)
    queue.finish_run(taken(queue).job)
    sending = queue.next_to_send()
    assert sending is not None
    queue.begin_delivery("abc", "CT1")
    queue.move(sending, "done")  # the sender of results had begun
    assert found(queue, sending.job).state == "received"


def test_after_kill_9_what_ran_waits_and_what_came_in_is_broken_off(tmp_path: Path) -> None:
    words = (
        "import sys, os\nfrom pathlib import Path\nfrom flare_trt.engine.apps.pacs.study_queue import StudyQueue\n"
        "queue = StudyQueue(Path(sys.argv[1]))\njob = queue.begin_delivery('abc', 'CT1').job\nqueue.end_delivery(job, True, 0.0)\n"
        "queue.settle(0.0)\nqueue.take()\nqueue.begin_delivery('half', 'CT1')\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", words, str(tmp_path / "queue")], check=False)
    assert done.returncode == -9
    queue = StudyQueue(tmp_path / "queue")
    queue.recover()
    assert [(study.state, study.problem) for study in queue.studies()] == [("waiting", None), ("received", BROKEN_OFF)]


def test_a_study_that_ends_the_worker_again_and_again_is_left_alone(queue: StudyQueue) -> None:
    arrived(queue)
    for _ in range(MOST_ATTEMPTS):
        taken(queue)
        queue.recover()
    study = found(queue, 1)
    assert study.state == "failed"
    assert "the worker ended 3 times during this job" in str(study.problem)
    queue.retry(1)
    assert (taken(queue).attempts, found(queue, 1).state) == (1, "running")


def test_stopping_in_good_order_is_no_attempt(queue: StudyQueue) -> None:
    arrived(queue)
    for _ in range(MOST_ATTEMPTS + 1):
        queue.give_back(taken(queue).job)
    queue.recover()
    assert (found(queue, 1).state, found(queue, 1).attempts) == ("waiting", 0)


def test_what_is_due_later_waits(queue: StudyQueue) -> None:
    arrived(queue)
    queue.finish_run(taken(queue).job)
    for attempts in (1, 2):
        sending = queue.next_to_send()
        assert sending is not None
        queue.move(sending, "sending", "no answer", time.time() + 1000)
        assert (found(queue, 1).attempts, queue.next_to_send()) == (attempts, None)
        if attempts == 1:
            queue.retry(1)  # at once
            queue.move(found(queue, 1), "sending", "no answer")
    assert found(queue, 1).problem == "no answer"


def test_dropped_and_forgotten(queue: StudyQueue) -> None:
    first, second = arrived(queue, "a"), arrived(queue, "b")
    assert queue.drop(first.job) == first.folder
    assert not queue.has(first.job)
    running = taken(queue)
    assert running.job == second.job
    queue.finish_run(running.job)
    queue.move(found(queue, running.job), "done")
    assert queue.forget_done(time.time() - 1000) == []
    assert queue.forget_done(time.time() + 1) == [second.folder]
    second.folder.mkdir()
    assert queue.folders_of_nobody() == [second.folder]
    assert arrived(queue, "a").job == 3  # a number is used once


@pytest.mark.parametrize("state", ["nothing", "waiting", "running"])
def test_what_cannot_be_retried(queue: StudyQueue, state: str) -> None:
    if state != "nothing":
        arrived(queue)
    if state == "running":
        taken(queue)
    got = f"is {state} already" if state != "nothing" else "is not in the queue"
    with pytest.raises(InputError, match=f"job 1: {got}, expected"):
        queue.retry(1)


def test_a_queue_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").write_text("a letter" * 100)
    with pytest.raises(OutputError, match="the queue cannot be opened"):
        StudyQueue(tmp_path)
    with pytest.raises(InputError, match="job 7: is not in the queue"):
        StudyQueue(tmp_path / "new").drop(7)


def test_every_transaction_is_on_the_disk_before_it_returns(queue: StudyQueue) -> None:
    assert queue._read("PRAGMA synchronous") == [(2,)]  # FULL
    assert queue._read("PRAGMA journal_mode") == [("wal",)]
    with sqlite3.connect(queue.folder / "queue.sqlite") as other:
        arrived(queue)
        assert other.execute("SELECT state FROM studies").fetchall() == [("waiting",)]
