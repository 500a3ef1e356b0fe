"""DICOMweb: the studies of an archive that are new (QIDO-RS), fetched (WADO-RS), and results stored there (STOW-RS)."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from flare_trt.engine.apps.pacs.anonymous import hashed_uid
from flare_trt.engine.apps.pacs.intake import Delivery
from flare_trt.engine.apps.pacs.seen_studies import SeenStudies
from flare_trt.engine.apps.pacs.sender import ArchiveAwayError, ArchiveRefusalError, Send
from flare_trt.engine.base.errors import ServiceError
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library

_LOG = logging.getLogger(__name__)
_ANSWER_S = 60.0
_STUDY, _SERIES, _MODALITIES, _STUDY_IMAGES, _SERIES_IMAGES = "0020000D", "0020000E", "00080061", "00201208", "00201209"
#: An answer that says "later" (RFC 9110): no access yet, too many, no room, or the server's own trouble.
_LATER = (401, 403, 408, 429)
#: Of the answer to a STOW-RS request (PS3.18, annex I): what failed, why, and what is kept.
_CONFLICT, _FAILED, _REASON, _KEPT, _NO_ROOM = 409, "00081198", "00081197", "00081199", 0xA7
_BOUNDARY = "flare-trt-results-6d0f2a"


@dataclass(frozen=True)
class Web:
    """A DICOMweb service: its URL, the file with `user:password` or a bearer token, the authority of its certificate."""

    url: str
    login: Path | None = None
    authority: Path | None = None

    def session(self) -> Any:
        """What asks over HTTP. Raises ServiceError."""
        session = library("requests").Session()
        session.trust_env = False  # no proxy and no .netrc that nobody thought of
        if self.authority is not None:
            session.verify = str(self.authority)
        if self.login is not None:
            user, colon, password = _one_line(self.login).partition(":")
            if colon:
                session.auth = (user, password)
            else:
                session.headers["Authorization"] = f"Bearer {user}"
        return session

    def client(self) -> Any:
        """A client that asks once: who calls it tries again. Raises ServiceError."""
        try:
            client = library("dicomweb_client.web").DICOMwebClient(self.url, session=self.session(), timeout=_ANSWER_S)
        except ValueError as error:
            raise ServiceError(f"{self.url}: expected a DICOMweb address such as http://127.0.0.1:8042/dicom-web") from error
        client.set_http_retry_params(retry=False)
        return client


def web_send(web: Web) -> Send:
    """A `Send` by STOW-RS (PS3.18, 10.5), one request a study; what the service does not confirm counts as not kept.

    Not by the client's own: it takes an answer whose media type has a parameter for an empty one, in which nothing failed.
    """
    session = web.session()

    def send(files: Sequence[Path]) -> None:
        head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = b"".join(head + file.read_bytes() + b"\r\n" for file in files) + f"--{_BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        with _archive_errors(web):
            answer = session.post(f"{web.url.rstrip('/')}/studies", data=body, headers=headers, timeout=_ANSWER_S)
            if answer.status_code != _CONFLICT:  # it says what failed, as 202 does
                answer.raise_for_status()
            told = answer.json()
            told = told[0] if isinstance(told, list) else told
            failed = [item.get(_REASON, {}).get("Value", [0])[0] for item in told.get(_FAILED, {}).get("Value", ())]
            kept = len(told.get(_KEPT, {}).get("Value", ()))
        _require_kept(web, len(files), kept, failed)

    return send


def _require_kept(web: Web, sent: int, kept: int, failed: Sequence[int]) -> None:
    if failed:
        error = ArchiveAwayError if failed[0] >> 8 == _NO_ROOM else ArchiveRefusalError
        raise error(f"{web.url} does not keep {len(failed)} of {sent} results (reason {failed[0]:04X}); its log says why")
    if kept < sent:
        raise ArchiveAwayError(f"{web.url} confirms {kept} of {sent} results")


@dataclass
class Watcher:
    """Looks for studies with CT that are new or have changed, and delivers their CT series once nothing more comes for them.

    `match` are further attributes of QIDO-RS. Without `backlog`, studies that were there at the first look are left alone.
    """

    web: Web
    seen: SeenStudies
    deliver: Callable[[], Delivery]
    match: Mapping[str, str] = field(default_factory=dict)
    backlog: bool = False
    quiet_s: float = 10.0
    _away: bool = False

    def __post_init__(self) -> None:
        self._client = self.web.client()

    def look(self) -> None:
        """Look once, and fetch what is complete; a service that does not answer is for the next look. Raises OutputError."""
        try:
            with _archive_errors(self.web):
                self._look()
        except (ArchiveAwayError, ArchiveRefusalError) as error:
            if not self._away:
                _LOG.warning("%s; asked again every few seconds", error)
            self._away = True
        else:
            if self._away:
                _LOG.info("%s answers again", self.web.url)
            self._away = False

    def _look(self) -> None:
        found = self._studies()
        ignored = not self.backlog and self.seen.first_look()
        for uid, images in found.items():
            study_hash = hashed_uid(uid)
            if ignored:
                self.seen.fetched(study_hash, images, _signature(self._series(uid)))
            elif self.seen.is_settled(study_hash, images, self.quiet_s):
                self._fetch(uid, study_hash, images)
        self.seen.end_first_look()

    def _studies(self) -> dict[str, int]:
        """The studies with CT that match, and how many images of all kinds each has.

        CT is looked for in the answers: where it is asked for, Orthanc's DICOMweb 1.7 loses count of pages.
        """
        fields = [_STUDY_IMAGES, _MODALITIES]
        search = partial(self._client.search_for_studies, search_filters=dict(self.match), fields=fields)
        found = _all_pages(search, _STUDY)
        return {
            uid: int(_value(study, _STUDY_IMAGES) or 0)
            for uid, study in found.items()
            if "CT" in (study.get(_MODALITIES, {}).get("Value") or ["CT"])
        }

    def _fetch(self, uid: str, study_hash: str, images: int) -> None:
        """Deliver the CT series of a study, unless they are those of the last time: results that came back change nothing."""
        series = self._series(uid)
        if not self.seen.differs(study_hash, _signature(series)):
            self.seen.fetched(study_hash, images, _signature(series))
            return
        delivery, whole = self.deliver(), False
        try:
            came = [self._fetch_series(delivery, uid, one) for one in series]
            whole = came == list(series.values())
        finally:
            delivery.end(whole)
        if whole:
            self.seen.fetched(study_hash, images, _signature(series))

    def _fetch_series(self, delivery: Delivery, study_uid: str, series_uid: str) -> int:
        """Deliver a series in the transfer syntax that it is kept in; returns how many images came."""
        count = 0
        for dataset in self._client.iter_series(study_uid, series_uid, media_types=(("application/dicom", "*"),)):
            buffer = io.BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            delivery.store(study_uid, str(dataset.SOPInstanceUID), buffer.getvalue())
            count += 1
        return count

    def _series(self, study_uid: str) -> dict[str, int]:
        """The CT series of a study and how many images each has."""
        only = {"Modality": "CT"}
        search = partial(self._client.search_for_series, study_uid, search_filters=only, fields=[_SERIES_IMAGES])
        return {uid: int(_value(one, _SERIES_IMAGES) or 0) for uid, one in _all_pages(search, _SERIES).items()}


def _all_pages(search: Callable[..., list[Mapping[str, Any]]], tag: str) -> dict[str, Mapping[str, Any]]:
    """All answers to a search, by their UIDs, however many the service gives at a time; ends where a page brings nothing new."""
    found: dict[str, Mapping[str, Any]] = {}
    while True:
        page = {_value(one, tag): one for one in search(offset=len(found) or None)}
        if page.keys() <= found.keys():
            return found
        found |= page


def _value(attributes: Mapping[str, Any], tag: str) -> str:
    """An attribute's first value in DICOM JSON (PS3.18, annex F)."""
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _signature(series: Mapping[str, int]) -> str:
    return hashed_uid(" ".join(f"{uid}:{count}" for uid, count in sorted(series.items())))


def _one_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"login file {file}: cannot be read as text ({type(error).__name__})") from error


@contextmanager
def _archive_errors(web: Web) -> Iterator[None]:
    """The client's errors as ours; their own words repeat addresses with UIDs."""
    requests = library("requests")
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code
        kind = ArchiveAwayError if status >= 500 or status in _LATER else ArchiveRefusalError
        raise kind(f"{web.url} answers with HTTP status {status}") from None
    except requests.RequestException as error:
        raise ArchiveAwayError(f"{web.url} does not answer ({type(error).__name__})") from None
    except LIBRARY_ERRORS as error:
        raise ArchiveAwayError(f"{web.url} answers with what is no DICOMweb ({type(error).__name__})") from None
