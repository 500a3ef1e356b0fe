"""Jobs that outlast their server (`--jobs FOLDER`): what is known of each stands in a file beside its upload and its results."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flare_trt.engine.apps.serve.served_job import ServedJob
from flare_trt.engine.base.errors import FlareError, OutputError, ServiceError, reason_of
from flare_trt.engine.base.files import sync_folder, write_json
from flare_trt.engine.scans.dicom.choice import SeriesChoice

#: So many times a server begins a job that it does not live to end.
MOST_ATTEMPTS = 3
_FILE, _LOCK = "job.json", ".lock"


@contextmanager
def kept_folder(folder: Path) -> Iterator[Path]:
    """A folder of jobs for the one server that may have it, made if missing. Raises ServiceError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    except BlockingIOError as error:
        raise ServiceError(f"{folder}: another server has these jobs; name another folder") from error
    except PermissionError as error:
        raise ServiceError(f"{folder}: cannot be used: {error.strerror}; name another folder") from error


def note(job: ServedJob) -> None:
    """Write down a job that is to outlast its server. Raises OutputError."""
    if job.kept:
        choice = {"series": job.choice.uid, "acquisition": job.choice.acquisition}
        wishes = {**choice, "pages": job.pages, "attempts": job.attempts}
        told = {"state": job.state, **wishes, "missing": job.missing, "problem": job.problem, "noted_s": time.time()}
        write_json(job.folder / _FILE, told)
        try:
            for folder in (job.folder, job.folder.parent):
                sync_folder(folder)
        except OSError as error:
            raise OutputError(f"job {job.id}: cannot be noted: {reason_of(error)}; free space") from error


def noted_jobs(folder: Path) -> list[tuple[ServedJob, float]]:
    """The jobs in a folder, the oldest first, with their age in seconds; those that had not ended wait again.

    One during which the server ended again and again has failed: it may be what ends the server. What an upload that broke off or a
    file that cannot be read has left is removed.
    """
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            told = json.loads((place / _FILE).read_text())
            choice = SeriesChoice(told["series"], acquisition=told["acquisition"])
            pages = told.get("pages", False)  # not noted before there were pages
            job = ServedJob(place.name, place, choice, missing=told["missing"], kept=True, pages=pages)
            if told["state"] in ("done", "failed", "timed_out"):
                job.state, job.error = told["state"], FlareError(told["problem"]) if told["problem"] else None
                job.ended.set()
            job.attempts = told.get("attempts", 0)
            if not job.ended.is_set() and job.attempts >= MOST_ATTEMPTS:
                _fail(job)
            found.append((told["noted_s"], job))
        except (OSError, ValueError, KeyError, TypeError):
            shutil.rmtree(place, ignore_errors=True)
    return [(job, time.time() - noted_s) for noted_s, job in sorted(found, key=lambda pair: pair[0])]


def _fail(job: ServedJob) -> None:
    job.state = "failed"
    job.error = ServiceError(f"the server ended {MOST_ATTEMPTS} times during this job: too little memory? send a smaller scan")
    job.ended.set()
    clear(job)


def clear(job: ServedJob) -> None:
    """Delete the files of a job without results; of one that outlasts its server only what became of it stays."""
    shutil.rmtree(job.folder, ignore_errors=True)
    if job.kept and job.state != "cancelled":
        try:
            job.folder.mkdir(mode=0o700)
            note(job)
        except (OSError, OutputError):  # then nobody will know of it after a restart
            shutil.rmtree(job.folder, ignore_errors=True)
