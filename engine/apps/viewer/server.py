"""A server for one page and the files that it needs, on loopback, behind a random token in the address.

What can be asked for is a table of names made beforehand: no part of an address ever becomes a path. The Host header is
checked against the server's own, so that no foreign page can reach it through a name that it points at this machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from flare_trt.engine.apps.access import is_token
from flare_trt.engine.apps.page_headers import page_headers
from flare_trt.engine.base.errors import reason_of
from flare_trt.engine.base.units import MIB
from flare_trt.engine.results.viewer.page import Resource

_LOOPBACK = "127.0.0.1"
#: A connection that says nothing for so long is closed.
_TIMEOUT_S = 30
_HEADERS = page_headers()


class ViewerServer(ThreadingHTTPServer):
    """Serves a table of resources under its `url`. `tell` is called, from any thread, with what went wrong."""

    daemon_threads = True

    def __init__(self, resources: Mapping[str, Resource], tell: Callable[[str], None]) -> None:
        super().__init__((_LOOPBACK, 0), _Handler)
        self.resources, self.tell = resources, tell
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (_LOOPBACK, "localhost")}

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{_LOOPBACK}:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer
    timeout = _TIMEOUT_S
    server_version, sys_version = "flare-trt", ""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.headers.get("Host") not in self.server.hosts:
            self._say(HTTPStatus.FORBIDDEN, "Open the page by the address that flare-trt view printed.")
            return
        token, _, name = self.path.removeprefix("/").partition("/")
        if not is_token(token, self.server.token):
            self._say(HTTPStatus.FORBIDDEN, "The address lacks its token; copy it whole from where flare-trt view printed it.")
        elif name not in self.server.resources:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")
        else:
            self._give(self.server.resources[name])

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""

    def _give(self, resource: Resource) -> None:
        if isinstance(resource.content, bytes):
            self._start(HTTPStatus.OK, resource.kind, len(resource.content))
            self.wfile.write(resource.content)
            return
        expected = resource.content
        try:
            with expected.path.open("rb") as file:
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != (expected.size, expected.changed_ns):
                    self._problem(f"{expected.path.name} has changed since it was opened; start flare-trt view again")
                    return
                self._start(HTTPStatus.OK, resource.kind, expected.size)
                shutil.copyfileobj(file, self.wfile, MIB)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the page was left
        except OSError as error:
            self._problem(f"{expected.path.name} cannot be read: {reason_of(error)}")

    def _problem(self, words: str) -> None:
        self.server.tell(words)
        self._say(HTTPStatus.CONFLICT, words)

    def _say(self, status: HTTPStatus, words: str) -> None:
        text = words.encode()
        self._start(status, "text/plain; charset=utf-8", len(text))
        self.wfile.write(text)

    def _start(self, status: HTTPStatus, kind: str, length: int) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
