"""One upload on its way to labels."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Literal

from flare_trt.engine.batch.overlap import ScanError
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice

#: How a job can end. `stopped`: the server went down first.
Outcome = Literal["done", "failed", "cancelled", "timed_out", "stopped"]
State = Literal["queued", "running"] | Outcome
#: Results of a DICOM upload beside labels, report and picture.
DICOM_KINDS = ("seg", "sr", "rtstruct")
VIEWER = "viewer"
#: Options that errors name -> the same in an address.
_QUERIES = {
    "--series UID": "?series=UID",
    "--acquisition N": "?acquisition=N",
    "--acquisition:": "?acquisition=N:",
    "--correct-tilt": "a server that runs with --correct-tilt",
    "leave out --series, --pick, --acquisition": "leave ?series= and ?acquisition= out",
}


class JobStopped(Exception):  # noqa: N818  # not an error: the job is no longer wanted
    """Raised between two tiles of a job that is no longer wanted."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(eq=False)
class ServedJob:
    """State of a job. The service alone changes it; `progress` is (stage, tiles done, tiles in all). `choice`: the
    series and acquisition to take of a zip of DICOM. `missing`: why a result in DICOM, or the viewer, was not made, by its kind.
    `kept`: it outlasts its server, which so far began it `attempts` times. `pages`: the viewer and the report as a page are wanted;
    `view_token` opens the viewer alone.

    Its files lie in `folder`, which is named by the random `id`: nothing of the upload's name is kept.
    """

    id: str
    folder: Path
    choice: SeriesChoice = ONLY_SERIES
    state: State = "queued"
    progress: tuple[str, int, int] | None = None
    error: ScanError | None = None
    kept_bytes: int = 0
    stop: Outcome | None = None
    deadline_s: float = inf
    missing: dict[str, str] = field(default_factory=dict)
    kept: bool = False
    pages: bool = False
    attempts: int = 0
    view_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def upload(self) -> Path:
        """What the client sent, until it has been read."""
        return self.folder / "upload"

    @property
    def labels(self) -> Path:
        """The label map of a job that is done."""
        return self.folder / "labels.nii.gz"

    @property
    def report(self) -> Path:
        """The report of a job that is done."""
        return self.folder / "report.json"

    @property
    def page(self) -> Path:
        """The report of a job that is done as a page, where it was wanted."""
        return self.folder / "report.html"

    @property
    def preview(self) -> Path:
        """The picture of a job that is done."""
        return self.folder / "preview.png"

    def dicom(self, kind: str) -> Path:
        """A DICOM result (one of DICOM_KINDS) of a job that is done; why there is none stands in `missing`."""
        return self.folder / f"{kind}.dcm"

    def forget_upload(self) -> None:
        """Delete what the client sent."""
        for path in (self.upload, self.upload.with_suffix(".zip")):
            path.unlink(missing_ok=True)

    @property
    def problem(self) -> str | None:
        """What went wrong, without a path of this machine."""
        return None if self.error is None else self.words_of(self.error)

    def words_of(self, error: BaseException) -> str:
        """An error's words, without a path of this machine."""
        text = str(error) or type(error).__name__
        for option, query in _QUERIES.items():
            text = text.replace(option, query)
        return (
            text.replace(f"{self.upload}.zip", "the upload").replace(str(self.upload), "the upload").replace(f"{self.folder}/", "")
        )

    def on_tile(self, stage: str, done: int, total: int) -> None:
        """Note the progress. Raises JobStopped where the job was cancelled or its time is up."""
        self.progress = (stage, done, total)
        self.require_wanted()

    def require_wanted(self) -> None:
        """Raise JobStopped where the job was cancelled or its time is up."""
        if self.stop is not None:
            raise JobStopped(self.stop)
        if time.monotonic() > self.deadline_s:
            raise JobStopped("timed_out")
