"""What a watcher has seen of an archive's studies, by the hashes of their UIDs, beside the queue."""

from __future__ import annotations

import time

from flare_trt.engine.apps.pacs.study_queue import StudyQueue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (
  study TEXT PRIMARY KEY,  -- hash of its UID
  images INTEGER NOT NULL, -- of all kinds, at the last look
  since REAL NOT NULL,     -- when there were first so many
  handled INTEGER,         -- images when it was last fetched, or found to be the same
  series TEXT              -- hash of the CT series that were fetched, and of how many images each had
)
"""
#: A row that stands for the end of the first look.
_FIRST = "first look"


class SeenStudies:
    """The table of a queue. Raises OutputError."""

    def __init__(self, queue: StudyQueue) -> None:
        self._queue = queue
        with queue.transaction() as run:
            run(_SCHEMA)

    def first_look(self) -> bool:
        """Whether no look has ended yet."""
        with self._queue.transaction() as run:
            return not run("SELECT 1 FROM seen WHERE study = ?", (_FIRST,))

    def end_first_look(self) -> None:
        """A look has ended."""
        with self._queue.transaction() as run:
            run("INSERT OR IGNORE INTO seen (study, images, since) VALUES (?, 0, ?)", (_FIRST, time.time()))

    def is_settled(self, study: str, images: int, quiet_s: float) -> bool:
        """Note how many images a study has now; whether there have been so many for `quiet_s`, and they have not been handled."""
        now_s = time.time()
        with self._queue.transaction() as run:
            run(
                "INSERT INTO seen (study, images, since) VALUES (?, ?, ?) ON CONFLICT (study) DO UPDATE "
                "SET since = iif(images = excluded.images, since, excluded.since), images = excluded.images",
                (study, images, now_s),
            )
            return bool(
                run("SELECT 1 FROM seen WHERE study = ? AND since <= ? AND handled IS NOT images", (study, now_s - quiet_s))
            )

    def differs(self, study: str, series: str) -> bool:
        """Whether a study's CT series are others than those that were fetched."""
        with self._queue.transaction() as run:
            return not run("SELECT 1 FROM seen WHERE study = ? AND series = ?", (study, series))

    def fetched(self, study: str, images: int, series: str) -> None:
        """Note that a study's CT series have been fetched, at a count of images of all kinds."""
        with self._queue.transaction() as run:
            run(
                "INSERT INTO seen (study, images, since, handled, series) VALUES (?, ?, ?, ?, ?) ON CONFLICT (study) DO UPDATE "
                "SET handled = excluded.handled, series = excluded.series",
                (study, images, time.time(), images, series),
            )
