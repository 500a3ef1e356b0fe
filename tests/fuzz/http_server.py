"""A real server on loopback for the requests of `http_requests.py`, and the client that holds it to what it promises.

One server runs in a thread of the worker; each input gets a service of its own, in its own folder.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h11
import uvicorn
from tests.fuzz.http_requests import TOKEN, UPLOAD_BYTES

from flare_trt.engine.apps.access import Door
from flare_trt.engine.apps.serve import routes
from flare_trt.engine.apps.serve.app import build_app
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.served_job import DICOM_KINDS, ServedJob
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import SegmentUpload
from flare_trt.engine.base.errors import InputError

_LIMITS = Limits(waiting_jobs=2, upload_bytes=UPLOAD_BYTES, kept_jobs=2)
#: How long the client waits for bytes, and for the server to come to rest behind an input: both within supervise.SILENCE_S.
_WAIT_S = 25.0


class CountingService(Service):
    """A service whose jobs have the ids 1, 2, ... in 32 digits, so that a request can name a job of the same connection."""

    _count = 0

    def _reserve(self) -> ServedJob:
        super()._reserve()
        self._count += 1
        job_id = f"{self._count:032}"
        return ServedJob(job_id, self._folder / job_id)

    @property
    def at_rest(self) -> bool:
        """Whether no job is on its way."""
        with self._changed:
            return self.queue_length == 0 and self._running is None


class _InputsService:
    """Stands for the service of the input that is being tried: to build an app takes longer than most inputs do."""

    service: CountingService

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)


class _ErrorRecords(logging.Handler):
    """Gathers what the server and its event loop log as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []
        for name in ("uvicorn.error", "asyncio"):
            logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, h11.LocalProtocolError) and "state=MUST_CLOSE" in str(error):
            return  # uvicorn's own: it has answered 400 to a body that breaks off in the wrong way before our answer is there
        self.texts.append(f"{record.getMessage().splitlines()[0]} ({error!r})")


class _Server:
    """uvicorn in a daemon thread, with the parser that the extra `serve` brings. `apps` are by token, `token` the one in use."""

    def __init__(self) -> None:
        self.inputs = _InputsService()
        self.apps: dict[str | None, Any] = {token: build_app(self.inputs, Door(token=token)) for token in (None, TOKEN)}  # type: ignore[arg-type]
        self.token: str | None = None
        self.errors = _ErrorRecords()
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        kinds: dict[str, Any] = {"interface": "asgi3", "http": "h11", "ws": "none", "lifespan": "off"}
        self._server = uvicorn.Server(uvicorn.Config(self._answer, log_config=None, access_log=False, **kinds))
        threading.Thread(target=self._server.run, args=([listener],), daemon=True).start()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.apps[self.token](scope, receive, send)

    @property
    def at_rest(self) -> bool:
        """Whether no connection is open and no request under way."""
        state = self._server.server_state
        return not state.connections and not state.tasks


@cache
def _server() -> _Server:
    routes._POLL_S = 0.001
    logging.getLogger("uvicorn.error").propagate = logging.getLogger("asyncio").propagate = False
    return _Server()


def send_connection(data: bytes, folder: Path, segment: SegmentUpload, token: str | None) -> None:
    """Send the bytes to a server that keeps its jobs in `folder`. Raises InputError where no request was granted."""
    server, service = _server(), CountingService(segment, _LIMITS, folder)
    server.inputs.service, server.token = service, token
    try:
        asked = whole_requests(data)
        answers, raw = _talk(data, asked, server.address)
        _until(lambda: server.at_rest and service.at_rest)
        problems = [*server.errors.texts, *_broken_promises(service, folder, asked, answers)]
        problems += ["an answer tells a path of this machine"] * (str(folder).encode() in raw)
    finally:
        server.errors.texts.clear()
        service.drain()
    if problems:
        raise AssertionError("; ".join(problems))
    if not any(200 <= answer.status_code < 300 for answer in answers):
        raise InputError(f"answered with {[answer.status_code for answer in answers]}")


def _broken_promises(service: Service, folder: Path, asked: list[bytes], answers: list[h11.Response]) -> list[str]:
    statuses = [answer.status_code for answer in answers]
    found = [f"answered {status}" for status in statuses if not (200 <= status < 500 or status == 503)]
    closed = bool(answers) and (b"connection", b"close") in answers[-1].headers
    if len(answers) < len(asked) and not closed:
        found.append(f"answered {statuses} to {asked}")
    if not service.is_alive:
        found.append("the segmenting thread has ended")
    for place in folder.iterdir():
        job = service.find(place.name)
        names = sorted(path.name for path in place.iterdir())
        dicom = {f"{kind}.dcm" for kind in DICOM_KINDS}
        if job is None or job.state != "done" or set(names) - dicom != {"labels.nii.gz", "preview.png", "report.json"}:
            found.append(f"left {names} of a job that is {job and job.state}")
    return found


def whole_requests(data: bytes) -> list[bytes]:
    """The methods of the requests that are whole, up to the first that cannot be read or that ends the connection."""
    server, methods = h11.Connection(h11.SERVER), list[bytes]()
    if not data:
        return []  # to h11 no bytes are the end of the connection, of which it tells for ever
    server.receive_data(data)
    try:
        while isinstance(event := server.next_event(), h11.Event):
            if isinstance(event, h11.Request):
                method = event.method
            elif isinstance(event, h11.EndOfMessage):
                methods.append(method)
                server.send(h11.Response(status_code=404, headers=[]))
                server.send(h11.EndOfMessage())
                if server.our_state is not h11.DONE:
                    break
                server.start_next_cycle()
    except h11.RemoteProtocolError:
        pass
    return methods


def _talk(data: bytes, asked: list[bytes], address: Any) -> tuple[list[h11.Response], bytes]:
    """Send everything, wait for the answers to what is whole, say that no more will come, and read to the end."""
    raw, answers, said_all = b"", list[h11.Response](), False
    with socket.create_connection(address, timeout=_WAIT_S) as client:
        try:
            client.sendall(data)
            while True:
                if len(answers) >= len(asked) and not said_all:
                    client.shutdown(socket.SHUT_WR)
                    said_all = True
                part = client.recv(1 << 16)
                if not part:
                    break
                raw += part
                answers = answers_in(raw, asked, ended=False)
        except TimeoutError as error:
            raise AssertionError(f"no answer within {_WAIT_S:g} s, after {answers}") from error
        except OSError:
            pass  # closed before all was read; what was answered stands
    return answers_in(raw, asked, ended=True), raw


def answers_in(raw: bytes, asked: list[bytes], ended: bool) -> list[h11.Response]:
    """The whole answers to requests of these methods, and to one more that could not be read; the end may be the last one's."""
    found = []
    for method in (*asked, b"GET"):
        if not raw:
            break
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target=b"/", headers=[(b"host", b"x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(raw)
        if ended:
            client.receive_data(b"")
        answer = _whole_answer(client, ended)
        if answer is None:
            break
        found.append(answer)
        raw = client.trailing_data[0]
    return found


def _whole_answer(client: h11.Connection, ended: bool) -> h11.Response | None:
    answer = None
    try:
        while isinstance(event := client.next_event(), h11.Event):
            if isinstance(event, h11.Response):
                answer = event
            elif isinstance(event, h11.EndOfMessage):
                return answer
    except h11.RemoteProtocolError:
        if not ended:
            raise  # otherwise cut off by a server whose client had closed first
    return None


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _WAIT_S
    while not holds():
        if time.monotonic() > end_s:
            raise AssertionError("the server does not come to rest")
        time.sleep(0.001)
