"""The C-STORE SCP: who comes in, which objects are kept, and what a sender is answered (PS3.4, annex B)."""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
from typing import Any

from flare_trt.engine.apps.pacs.intake import Delivery
from flare_trt.engine.apps.pacs.metrics import ImageOutcome, Metrics
from flare_trt.engine.apps.pacs.peers import Door
from flare_trt.engine.apps.pacs.study_queue import StudyQueue
from flare_trt.engine.base.errors import OutputError, ServiceError, reason_of
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library
from flare_trt.engine.scans.dicom.part10 import inflated
from flare_trt.engine.scans.dicom.plane import CT_CLASSES

_LOG = logging.getLogger(__name__)
#: Answers to a C-STORE (PS3.4, table B.2-1).
STORED, DISCARDED, NO_ROOM, NOT_UNDERSTOOD = 0x0000, 0xB006, 0xA700, 0xC000
#: A sender may be silent for so long, also within a message or a TLS handshake; so many may be connected at once.
_SILENT_S, _SENDERS = 60, 20
#: Rejected for good, by the user, calling AE title not recognised (PS3.8, table 9-21).
_UNKNOWN_CALLER = (0x01, 0x01, 0x03)


class Receiver:
    """A listening SCP; its threads run from `start` to `stop`. Raises ServiceError where the port is taken."""

    def __init__(self, queue: StudyQueue, door: Door, tls: ssl.SSLContext | None, least_free_mb: int, metrics: Metrics) -> None:
        self._queue, self._door, self._least_free_mb, self._metrics = queue, door, least_free_mb, metrics
        self._lock = threading.Lock()
        self._deliveries: dict[Any, Delivery] = {}
        self._entity = _entity(door.title)
        library("pynetdicom._config").LOG_HANDLER_LEVEL = "none"  # its handlers write down what goes over the wire
        evt = library("pynetdicom").evt
        handlers = [
            (evt.EVT_REQUESTED, self._check_sender),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, lambda event: self._end(event.assoc, True)),
            (evt.EVT_ABORTED, lambda event: self._end(event.assoc, False)),
        ]
        try:
            self._server = self._entity.make_server(
                (door.host, door.port), evt_handlers=handlers, ssl_context=tls, server_class=_server_class()
            )
        except OSError as error:
            raise ServiceError(f"{door.host}, port {door.port}: {reason_of(error)}; choose another --host or --port") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="receive", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Let senders in."""
        self._entity._servers.append(self._server)  # `shutdown` takes it off this list; only start_server puts it there
        self._thread.start()

    def stop(self) -> None:
        """Let nobody in any more, and abort those that are in: what they sent is kept, and counts as broken off."""
        self._server.shutdown()
        for association in self._server.active_associations:
            association.abort()
        self.reap(everybody=True)

    def reap(self, everybody: bool = False) -> None:
        """End the deliveries of associations whose threads have ended without a word."""
        with self._lock:
            gone = [association for association in self._deliveries if everybody or not association.is_alive()]
        for association in gone:
            self._end(association, False)

    def _check_sender(self, event: Any) -> None:
        title, address = event.assoc.requestor.primitive.calling_ae_title, event.assoc.requestor.address
        if not self._door.lets_in(title, address):
            _LOG.warning("rejected a sender from %s: its AE title and address are not among those of --allow", address)
            self._metrics.rejected()
            event.assoc.acse.send_reject(*_UNKNOWN_CALLER)
            event.assoc.kill()

    def _store(self, event: Any) -> int:
        status, outcome = self._kept(event)
        self._metrics.image(outcome)
        return status

    def _kept(self, event: Any) -> tuple[int, ImageOutcome]:
        if str(event.request.AffectedSOPClassUID) not in CT_CLASSES:
            return DISCARDED, "discarded"
        try:
            image = event.encoded_dataset()
            study_uid, sop_uid = _identity(image)
        except LIBRARY_ERRORS:
            _LOG.warning("an image from %s was refused: no DICOM data set with a study and an instance UID", _title(event.assoc))
            return NOT_UNDERSTOOD, "not_understood"
        try:
            self._delivery(event.assoc).store(study_uid, sop_uid, image)
        except OutputError:
            return NO_ROOM, "not_kept"
        return STORED, "kept"

    def _delivery(self, association: Any) -> Delivery:
        with self._lock:
            found = self._deliveries.get(association)
            if found is None:
                found = self._deliveries[association] = Delivery(self._queue, _title(association), self._least_free_mb)
            return found

    def _end(self, association: Any, whole: bool) -> None:
        with self._lock:
            delivery = self._deliveries.pop(association, None)
        if delivery is not None:
            try:
                delivery.end(whole)
            except OutputError as error:  # as after kill -9: the next start counts it as broken off
                _LOG.error("the end of a delivery could not be noted: %s", error)


def _entity(title: str) -> Any:
    pynetdicom = library("pynetdicom")
    entity = pynetdicom.AE(ae_title=title)
    entity.require_called_aet = True
    entity.maximum_associations = _SENDERS
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = _SILENT_S
    entity.supported_contexts = pynetdicom.VerificationPresentationContexts
    for context in pynetdicom.AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, library("pynetdicom._globals").ALL_TRANSFER_SYNTAXES)
    return entity


def _server_class() -> Any:
    """pynetdicom's server, which waits for no client: neither for a TLS handshake nor within a message."""
    base = library("pynetdicom.transport").ThreadedAssociationServer

    class PatientServer(base):  # type: ignore[misc, valid-type]
        def get_request(self) -> tuple[socket.socket, Any]:
            client, address = self.socket.accept()
            client.settimeout(_SILENT_S)
            if self.ssl_context is not None:
                client = self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
            return client, address

    return PatientServer


def _identity(image: bytes) -> tuple[str, str]:
    """Study and instance UID. Raises one of LIBRARY_ERRORS."""
    tags = ["StudyInstanceUID", "SOPInstanceUID"]
    header = library("pydicom").dcmread(io.BytesIO(inflated(image)), stop_before_pixels=True, specific_tags=tags)
    study_uid, sop_uid = str(header.StudyInstanceUID), str(header.SOPInstanceUID)
    if not study_uid or not sop_uid:
        raise ValueError("no UID")
    return study_uid, sop_uid


def _title(association: Any) -> str:
    return str(association.requestor.ae_title or "a sender").strip()
