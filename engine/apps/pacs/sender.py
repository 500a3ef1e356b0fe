"""Results to the archive by C-STORE (PS3.4, annex B)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flare_trt.engine.apps.pacs.peers import Archive
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library

#: Sends files of one study, all or none counted. Raises ArchiveAwayError or ArchiveRefusalError.
Send = Callable[[Sequence[Path]], None]
_ANSWER_S = 60
#: Out of resources (PS3.4, table B.2-1): the archive may have room later.
_NO_ROOM = range(0xA700, 0xA800)
_WARNINGS = range(0xB000, 0xC000)


class ArchiveAwayError(Exception):
    """The archive does not answer, or has no room: to be tried again."""


class ArchiveRefusalError(Exception):
    """The archive refuses an object for good."""


def dicom_send(archive: Archive, title: str, tls: ssl.SSLContext | None) -> Send:
    """A `Send` by C-STORE, in one association a study, under the worker's own AE title."""

    def send(files: Sequence[Path]) -> None:
        datasets = [library("pydicom").dcmread(file) for file in files]
        entity = library("pynetdicom").AE(ae_title=title)
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER_S
        for dataset in datasets:
            entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        tls_args = None if tls is None else (tls, archive.host)
        try:
            association = entity.associate(archive.host, archive.port, ae_title=archive.title, tls_args=tls_args)
        except LIBRARY_ERRORS as error:
            raise ArchiveAwayError(f"{archive} cannot be reached ({type(error).__name__})") from None
        if not association.is_established:
            raise _not_in(association, archive, datasets[0])
        try:
            for dataset in datasets:
                _store(association, dataset, archive)
        except BaseException:
            association.abort()
            raise
        association.release()

    return send


def _not_in(association: Any, archive: Archive, first: Any) -> ArchiveAwayError | ArchiveRefusalError:
    if association.rejected_contexts:  # all of them
        return _not_taken(first, archive)
    if association.is_rejected:
        return ArchiveAwayError(f"{archive} rejects the worker: check both AE titles and addresses in the archive's configuration")
    return ArchiveAwayError(f"{archive} does not answer")


def _not_taken(dataset: Any, archive: Archive) -> ArchiveRefusalError:
    kind = f"{dataset.SOPClassUID.name}, {dataset.file_meta.TransferSyntaxUID.name}"
    return ArchiveRefusalError(f"{archive} does not take {dataset.Modality} ({kind}); see --results")


def _store(association: Any, dataset: Any, archive: Archive) -> None:
    what = dataset.Modality
    try:
        status = association.send_c_store(dataset).get("Status")
    except ValueError:  # no context for it
        raise _not_taken(dataset, archive) from None
    except RuntimeError:  # the association has ended
        status = None
    if status is None:
        raise ArchiveAwayError(f"{archive} did not answer to a {what}")
    if status in _NO_ROOM:
        raise ArchiveAwayError(f"{archive} has no room for a {what} (status {status:04X})")
    if status != 0 and status not in _WARNINGS:
        raise ArchiveRefusalError(f"{archive} refuses a {what} (status {status:04X}); its log says why")
