"""The server gives what its table holds to who knows the token, and nothing else to anybody."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flare_trt.engine.apps.viewer.server import ViewerServer
from flare_trt.engine.results.viewer.page import Resource, ScanFile

PAGE, SCAN = b"<!DOCTYPE html>page", bytes(range(256)) * 9000  # more than one piece of the copy


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(SCAN)
    (tmp_path / "secret.txt").write_text("secret")
    return path


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def server(scan: Path, told: list[str]) -> Iterator[ViewerServer]:
    table = {"": Resource("text/html", PAGE), "ct": Resource("application/octet-stream", ScanFile.of(scan))}
    with ViewerServer(table, told.append) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


def ask(server: ViewerServer, path: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of one request whose path is sent as it stands."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.server_port}'}"]
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall("\r\n".join([*(lines[:1] if host == "" else lines), "", ""]).encode("latin-1"))
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


def test_the_table_is_served(server: ViewerServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    status, body, headers = ask(server, f"/{server.token}/")
    assert (status, body, headers["content-type"]) == (200, PAGE, "text/html")
    status, body, headers = ask(server, f"/{server.token}/ct", host=f"localhost:{server.server_port}")
    assert (status, body, headers["content-length"]) == (200, SCAN, str(len(SCAN)))
    assert "default-src 'none'" in headers["content-security-policy"]
    wanted = {"referrer-policy": "no-referrer", "cache-control": "no-store", "x-content-type-options": "nosniff"}
    assert wanted.items() <= headers.items()
    assert "Python" not in headers["server"]


def test_it_listens_on_loopback_alone_and_each_token_is_another(server: ViewerServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32
    with ViewerServer({}, lambda words: None) as other:
        assert other.token != server.token


@pytest.mark.parametrize("path", ["/", "//", "/wrong/", "/wrong/ct", "/ct", "/{token}x/", "/{half}/", "/\xe9\xff/", "/x/{token}/"])
def test_a_wrong_token_is_refused(server: ViewerServer, path: str) -> None:
    status, body, _ = ask(server, path.format(token=server.token, half=server.token[:16]))
    assert status == 403
    assert PAGE not in body
    assert server.token.encode() not in body


@pytest.mark.parametrize("host", ["", "evil.test", "evil.test:{port}", "127.0.0.1", "127.0.0.1:1", "localhost:{port}.evil.test"])
def test_another_host_is_refused_even_with_the_token(server: ViewerServer, host: str) -> None:
    assert ask(server, f"/{server.token}/", host=host.format(port=server.server_port))[0] == 403


@pytest.mark.parametrize(
    "name",
    [
        *(
            "secret.txt",
            "../secret.txt",
            "..%2fsecret.txt",
            "%2e%2e/secret.txt",
            "ct/../secret.txt",
            "./ct",
            "ct/",
            "ct?x",
            "ct#x",
            "CT",
        ),
        *("..\\secret.txt", "{folder}/secret.txt", "/etc/passwd", "viewer.js", "static/viewer.js", "%63t"),
    ],
)
def test_no_path_leads_to_a_file(server: ViewerServer, tmp_path: Path, name: str) -> None:
    status, body, _ = ask(server, f"/{server.token}/{name.format(folder=tmp_path)}")
    assert (status, body) == (404, b"There is nothing here.")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_only_get_is_answered(server: ViewerServer, method: str) -> None:
    assert ask(server, f"/{server.token}/", method=method)[0] == 501


def test_a_file_that_changed_or_went_is_told(server: ViewerServer, scan: Path, told: list[str]) -> None:
    scan.write_bytes(b"junk")
    status, body, _ = ask(server, f"/{server.token}/ct")
    assert (status, body.decode()) == (409, told[0])
    assert "scan.nii.gz has changed since it was opened" in told[0]
    scan.unlink()
    status, body, _ = ask(server, f"/{server.token}/ct")
    assert (status, body.decode()) == (409, told[1])
    assert "scan.nii.gz cannot be read: No such file" in told[1]
    assert str(scan.parent) not in "".join(told)
