"""The queue of studies on the disk: what waits, what runs, what became of it. Survives kill -9 and power cuts (SQLite).

A study is known by the hash of its UID and by its job number, its folder by that number. Any thread and process may use a queue.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import sync_folder

State = Literal["received", "waiting", "running", "sending", "done", "refused", "failed"]
STATES: tuple[State, ...] = get_args(State)
#: A study that ended or failed so many runs is not tried again by itself.
MOST_ATTEMPTS = 3
BROKEN_OFF = "the sender broke off, or an image could not be kept: send the study again, or retry to take what is there"
_BUSY_S = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS studies (
  job INTEGER PRIMARY KEY AUTOINCREMENT,
  study TEXT NOT NULL UNIQUE,           -- hash of its UID
  state TEXT NOT NULL,
  source TEXT NOT NULL,                 -- who sent it last
  open INTEGER NOT NULL DEFAULT 0,      -- deliveries under way
  broken REAL,                          -- when a delivery broke off
  arrivals INTEGER NOT NULL DEFAULT 0,  -- deliveries so far
  taken INTEGER NOT NULL DEFAULT 0,     -- of these, when its run began
  attempts INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL DEFAULT 0,          -- not to be tried before
  changed REAL NOT NULL,
  problem TEXT
);
"""
_SELECT = "SELECT job, state, source, attempts, due, changed, problem FROM studies"
#: Executes one statement with its values; returns the rows.
Run = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Study:
    """One row: times in seconds since 1970; `folder` holds `images` and `results`."""

    job: int
    state: State
    source: str
    attempts: int
    due_s: float
    changed_s: float
    problem: str | None
    folder: Path

    @property
    def images(self) -> Path:
        """Where its images lie."""
        return self.folder / "images"

    @property
    def results(self) -> Path:
        """Where its results lie."""
        return self.folder / "results"


class StudyQueue:
    """The queue in a folder. Each method is one transaction; it is on the disk when the method returns. Raises OutputError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        try:
            (folder / "studies").mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._database = sqlite3.connect(
                folder / "queue.sqlite", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
            for place in (folder, folder.parent):
                sync_folder(place)
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"{folder}: the queue cannot be opened: {error}; name a folder on a local disk") from error

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._database.close()

    def begin_delivery(self, study: str, source: str) -> Study:
        """A sender begins to send images of a study (a hashed UID); a study that is neither running nor new is received again."""
        with self.transaction() as run:
            run(
                "INSERT INTO studies (study, state, source, changed) VALUES (?, 'received', ?, ?) ON CONFLICT (study) DO UPDATE "
                "SET state = CASE state WHEN 'running' THEN state ELSE 'received' END, source = excluded.source, attempts = 0, "
                "due = 0, problem = CASE WHEN broken IS NULL THEN NULL ELSE problem END",
                (study, source, time.time()),
            )
            run("UPDATE studies SET open = open + 1, arrivals = arrivals + 1, changed = ? WHERE study = ?", (time.time(), study))
            (row,) = run(f"{_SELECT} WHERE study = ?", (study,))
        return self._study(row)

    def end_delivery(self, job: int, whole: bool, began_s: float) -> None:
        """A sender has ended; whole, it mends what another broke off before it began (`began_s`)."""
        with self.transaction() as run:
            run("UPDATE studies SET open = max(0, open - 1), changed = ? WHERE job = ?", (time.time(), job))
            if whole:
                run("UPDATE studies SET broken = NULL, problem = NULL WHERE job = ? AND broken < ?", (job, began_s))
            else:
                run("UPDATE studies SET broken = ?, problem = ? WHERE job = ?", (time.time(), BROKEN_OFF, job))

    def settle(self, quiet_s: float) -> list[int]:
        """Let studies wait for their run that are complete: nobody sends, nobody broke off, quiet for so long. Returns the jobs."""
        with self.transaction() as run:
            rows = run(
                "UPDATE studies SET state = 'waiting', changed = ? WHERE state = 'received' AND open = 0 AND broken IS NULL "
                "AND changed <= ? RETURNING job",
                (time.time(), time.time() - quiet_s),
            )
        return [job for (job,) in rows]

    def take(self) -> Study | None:
        """The study that has waited longest and is due, now running; None where there is none."""
        with self.transaction() as run:
            rows = run(f"{_SELECT} WHERE state = 'waiting' AND due <= ? ORDER BY changed, job LIMIT 1", (time.time(),))
            if rows:
                run(
                    "UPDATE studies SET state = 'running', attempts = attempts + 1, taken = arrivals, changed = ? WHERE job = ?",
                    (time.time(), rows[0][0]),
                )
                rows = run(f"{_SELECT} WHERE job = ?", (rows[0][0],))
        return self._study(rows[0]) if rows else None

    def next_to_send(self) -> Study | None:
        """The study whose results have waited longest to be sent and are due."""
        rows = self._read(f"{_SELECT} WHERE state = 'sending' AND due <= ? ORDER BY due, changed, job LIMIT 1", (time.time(),))
        return self._study(rows[0]) if rows else None

    def give_back(self, job: int) -> None:
        """A run was stopped before its end, through no fault of the study's: it waits again."""
        with self.transaction() as run:
            run("UPDATE studies SET state = 'waiting', attempts = attempts - 1 WHERE job = ? AND state = 'running'", (job,))

    def finish_run(self, job: int) -> None:
        """Its results are written: they are sent next, or, where images have come since, it is received again."""
        with self.transaction() as run:
            run(
                "UPDATE studies SET state = CASE WHEN arrivals > taken THEN 'received' ELSE 'sending' END, attempts = 0, due = 0, "
                "changed = ?, problem = CASE WHEN broken IS NULL THEN NULL ELSE problem END WHERE job = ? AND state = 'running'",
                (time.time(), job),
            )

    def move(self, study: Study, state: State, problem: str | None = None, due_s: float = 0.0) -> None:
        """Change the state of a study that nobody else has changed meanwhile; to `sending` again counts as an attempt.

        One that has received images during its run is received again instead of refused or failed.
        """
        with self.transaction() as run:
            run(
                "UPDATE studies SET state = iif(state = 'running' AND arrivals > taken, 'received', ?), "
                "problem = iif(state = 'running' AND arrivals > taken, problem, ?), due = ?, changed = ?, attempts = attempts + ? "
                "WHERE job = ? AND state = ?",
                (state, problem, due_s, time.time(), int(state == study.state), study.job, study.state),
            )

    def recover(self) -> None:
        """After a start: what ran waits again, what was being received counts as broken off."""
        with self.transaction() as run:
            now_s = time.time()
            run("UPDATE studies SET open = 0, broken = ?, problem = ? WHERE open > 0", (now_s, BROKEN_OFF))
            run(
                "UPDATE studies SET state = 'failed', problem = ?, changed = ? WHERE state = 'running' AND attempts >= ?",
                (f"the worker ended {MOST_ATTEMPTS} times during this job: too little memory? retry it", now_s, MOST_ATTEMPTS),
            )
            run("UPDATE studies SET state = 'waiting' WHERE state = 'running'")

    def retry(self, job: int) -> None:
        """Let a study wait for a run as it is, or send at once what waits to be sent. Raises InputError."""
        with self.transaction() as run:
            rows = run("SELECT state FROM studies WHERE job = ?", (job,))
            if not rows or rows[0][0] in ("waiting", "running"):
                got = f"is {rows[0][0]} already" if rows else "is not in the queue"
                raise InputError(f"job {job}: {got}, expected one that is received, sending, done, refused or failed")
            state = "sending" if rows[0][0] == "sending" else "waiting"
            run(
                "UPDATE studies SET state = ?, attempts = 0, due = 0, broken = NULL, problem = NULL, changed = ? WHERE job = ?",
                (state, time.time(), job),
            )

    def drop(self, job: int) -> Path:
        """Forget a study; returns its folder, for the caller to delete. Raises InputError."""
        with self.transaction() as run:
            if not run("DELETE FROM studies WHERE job = ? RETURNING job", (job,)):
                raise InputError(f"job {job}: is not in the queue, expected one that `flare-trt pacs list` shows")
        return self._folder(job)

    def forget_done(self, before_s: float) -> list[Path]:
        """Forget studies that have been done since before a time; returns their folders, for the caller to delete."""
        with self.transaction() as run:
            rows = run("DELETE FROM studies WHERE state = 'done' AND open = 0 AND changed < ? RETURNING job", (before_s,))
        return [self._folder(job) for (job,) in rows]

    def has(self, job: int) -> bool:
        """Whether a job has not been dropped."""
        return bool(self._read("SELECT 1 FROM studies WHERE job = ?", (job,)))

    def studies(self) -> list[Study]:
        """All, by job number."""
        return [self._study(row) for row in self._read(f"{_SELECT} ORDER BY job")]

    def counts(self) -> dict[tuple[State, bool], int]:
        """How many studies are in a state, without and with a problem."""
        rows = self._read("SELECT state, problem IS NOT NULL, count(*) FROM studies GROUP BY 1, 2")
        return {(state, bool(problem)): count for state, problem, count in rows}

    def folders_of_nobody(self) -> list[Path]:
        """Folders of studies that were dropped while their deletion was interrupted."""
        known = {study.folder for study in self.studies()}
        return [folder for folder in (self.folder / "studies").iterdir() if folder.name.isdecimal() and folder not in known]

    def _folder(self, job: int) -> Path:
        return self.folder / "studies" / f"{job:06d}"

    def _study(self, row: tuple[Any, ...]) -> Study:
        job, state, source, attempts, due_s, changed_s, problem = row
        return Study(job, state, source, attempts, due_s, changed_s, problem, self._folder(job))

    def _read(self, words: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._errors():
            return self._database.execute(words, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """Several statements that take effect together or not at all: yields what runs one and returns its rows."""
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield lambda words, values=(): self._database.execute(words, values).fetchall()
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"{self.folder}: the queue cannot be used: {error}; free space on its disk") from error
