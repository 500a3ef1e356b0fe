"""Raw bytes of HTTP requests: sound ones, one or several on a connection, and damage that knows their parts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from tests.fuzz import dicom_damage, dicom_seeds, mutate, seeds

TOKEN = "fuzz-0123456789abcdef"  # noqa: S105  # of the fuzzed server alone
#: The most that the fuzzed server takes.
UPLOAD_BYTES = 200_000
#: Ids of the first jobs of a server (see http_server.CountingService).
JOB, SECOND_JOB = "0" * 31 + "1", "0" * 31 + "2"
_JOBS = b"/v1/segmentations"
_LABELS = _JOBS + b"/" + JOB.encode() + b"/labels"
_HOST, _BEARER = b"Host: localhost", b"Authorization: Bearer " + TOKEN.encode()
_UPLOAD = b"Content-Type: application/octet-stream"
_METHODS = (
    b"GET",
    b"POST",
    b"DELETE",
    b"PUT",
    b"PATCH",
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"X" * 300,
    b"",
    b"G\0T",
)
_TARGETS = (
    *(_JOBS + end for end in (b"", b"/", b"?wait", b"?wait=maybe", b"?wait=true&wait=false", b"?wait=1&x=%ff", b"?%00=%", b"#x")),
    *(_JOBS + b"/" + name for name in (SECOND_JOB.encode(), b"0" * 32, b"0" * 9000, b"%00", b"%2e%2e", b"..", b"%c3%28", b"a b")),
    *(_JOBS + end for end in (b"/../../../etc/passwd", b"/%2e%2e%2f%2e%2e%2fetc%2fpasswd", b"/..%5c..%5cx/labels", b"//labels")),
    *(_LABELS + end for end in (b"", b"/", b"%00", b".gz", b"/../report", b"?x=" + b"y" * 20_000)),
    *(b"/health", b"/health/", b"//health", b"/ready", b"/metrics", b"/openapi.json", b"/docs", b"/redoc", b"/", b"*", b""),
    *(b"http://localhost/health", b"http://elsewhere.example/health", b"localhost:80", b"/\xff\xfe", b"/%ff", b"/" + b"a" * 70_000),
)
_HEADERS = (
    *(b"Host: " + host for host in (b"", b"elsewhere.example", b"localhost:99999", b"127.0.0.1", b"[::1]", b"[", b"\xff")),
    *(
        b"Content-Type: " + kind
        for kind in (b"", b"text/plain", b"multipart/form-data; boundary=b", b"application/json", b"\xff;;")
    ),
    *(
        b"Authorization: " + word
        for word in (b"", b"Bearer", b"Bearer ", b"Bearer \xe9\xff", b"Basic Og==", b"Bearer " + b"x" * 9000)
    ),
    *(b"Connection: " + word for word in (b"close", b"keep-alive", b"upgrade", b"x, close")),
    *(b"Expect: 100-continue", b"Upgrade: websocket", b"Upgrade: h2c", b"Range: bytes=0-", b"Accept: nothing/at-all"),
    *(b"no colon", b": no name", b" folded", b"X: a\0b", b"X y: z", b"X: \r\n folded", b"X-Long: " + b"a" * 70_000, b"\xff: x"),
    *(b"X-Forwarded-For: \xff", b"X-HTTP-Method-Override: DELETE", b"Origin: http://elsewhere.example", b"Content-Encoding: gzip"),
)
_LENGTHS = (b"0", b"1", b"-1", b"+5", b"5, 5", b"5, 6", b"1e3", b"", b"0x10", b"99999", b"200001", b"9" * 20, b"9" * 5000, b"\xb2")
_CODINGS = (b"chunked", b"gzip, chunked", b"identity", b"chunked, chunked", b"CHUNKED", b"", b"x")
_SIZES = (b"0", b"-1", b"ffffffff", b"f" * 17, b"g", b"", b"5;x=y", b"1\0", b"  5", b"0x5")


@dataclass(frozen=True)
class Request:
    """One request. `headers` are whole lines."""

    method: bytes
    target: bytes
    headers: tuple[bytes, ...]
    body: bytes = b""
    version: bytes = b"HTTP/1.1"

    def packed(self) -> bytes:
        """Its bytes, as they are sent."""
        return b"\r\n".join([b" ".join((self.method, self.target, self.version)), *self.headers, b"", self.body])

    def having(self, header: bytes) -> Request:
        """With this header in place of those of its name."""
        name = header.partition(b":")[0].lower()
        return replace(self, headers=(*(line for line in self.headers if line.partition(b":")[0].lower() != name), header))


def _asked(method: bytes, target: bytes, *headers: bytes) -> Request:
    return Request(method, target, (_HOST, _BEARER, *headers))


def _sent(body: bytes, query: bytes = b"?wait=true", kind: bytes = _UPLOAD) -> Request:
    return replace(_asked(b"POST", _JOBS + query, kind, b"Content-Length: %d" % len(body)), body=body)


@cache
def connections() -> list[bytes]:
    """Sound connections: uploads of each kind, and all that can be asked of a job and of the server."""
    plain, gzipped, zipped = seeds.scans()[0], seeds.gzipped_scans()[1], dicom_seeds.series_zips()[0]
    job = _JOBS + b"/" + JOB.encode()
    looks = [_asked(b"GET", job + end) for end in (b"", b"/labels", b"/report")]
    return [
        packed([_sent(plain), *looks, _asked(b"DELETE", job), looks[0]]),
        packed([_sent(zipped), _asked(b"GET", _LABELS)]),
        packed([_sent(gzipped, b""), _asked(b"GET", job)]),
        packed([_chunked(_sent(plain), 500)]),
        packed([_asked(b"GET", path) for path in (b"/health", b"/ready", b"/metrics", b"/openapi.json")]),
        packed([Request(b"GET", b"/health", (_HOST, b"Connection: close"))]),
        packed([_asked(b"DELETE", job)]),
        packed([_sent(b"--b\r\n\r\n" + plain + b"\r\n--b--\r\n", kind=b"Content-Type: multipart/form-data; boundary=b")]),
    ]


def packed(requests: Sequence[Request]) -> bytes:
    """The bytes of a connection."""
    return b"".join(request.packed() for request in requests)


def _chunked(request: Request, size: int) -> Request:
    """The same body in chunks."""
    chunks = [request.body[at : at + size] for at in range(0, len(request.body), size)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    kept = tuple(line for line in request.headers if not line.startswith(b"Content-Length:"))
    return replace(request, body=body, headers=(*kept, b"Transfer-Encoding: chunked"))


def requests_of(data: bytes) -> list[Request]:
    """The requests of a connection as `connections` makes them."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        request = Request(*line.split(b" ", 2)[:2], tuple(headers))
        lengths = [int(header[15:]) for header in headers if header.startswith(b"Content-Length:")]
        size = len(data) if b"Transfer-Encoding: chunked" in headers else sum(lengths)
        found.append(replace(request, body=data[:size]))
        data = data[size:]
    return found


def _odd_line(request: Request, rng: random.Random) -> Request:
    kind = rng.randrange(8)
    if kind == 0:
        return replace(request, version=rng.choice((b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"", b"HTTP/1.1 x")))
    if kind < 3:
        return replace(request, method=rng.choice(_METHODS))
    return replace(request, target=rng.choice(_TARGETS) if kind < 7 else mutate.damaged(request.target, rng))


def _odd_header(request: Request, rng: random.Random) -> Request:
    kind, header = rng.randrange(5), rng.choice(_HEADERS)
    if kind < 2:
        return request.having(header)
    lines = list(request.headers)
    at = rng.randrange(len(lines) + 1)
    if kind == 2:
        lines.insert(at, header)
    elif kind == 3:
        lines.insert(at, rng.choice(lines or [header]))
    else:
        del lines[at : at + 1]
    return replace(request, headers=tuple(lines))


def _odd_framing(request: Request, rng: random.Random) -> Request:
    """Another length or transfer coding than the body has, both of them, or chunks with a wrong size."""
    kind = rng.randrange(5)
    if kind == 0:
        return request.having(b"Content-Length: " + rng.choice(_LENGTHS))
    if kind == 1:
        return request.having(b"Content-Length: %d" % max(0, len(request.body) + rng.choice((-700, -3, -1, 1, 2, 700))))
    if kind == 2:
        return request.having(b"Transfer-Encoding: " + rng.choice(_CODINGS))
    chunked = _chunked(request, rng.choice((1, 7, 64, 1000)) if len(request.body) < 2000 else 1000)
    if kind == 3:
        at = rng.choice([at for at in range(len(chunked.body)) if chunked.body[at : at + 2] == b"\r\n"])
        return replace(chunked, body=chunked.body[:at] + rng.choice(_SIZES) + b"\r\n" + chunked.body[at + 2 :])
    return chunked


def _odd_body(request: Request, rng: random.Random) -> Request:
    """A damaged scan with the length that it has; rarely one beyond the server's limit, or a body where none belongs."""
    body = request.body
    if rng.random() < 0.05:
        body = body + bytes(UPLOAD_BYTES)
    elif body[:2] == b"PK":
        body = dicom_damage.damaged_series(body, rng)
    elif body[:4] == seeds.scans()[0][:4] or body[:2] == b"\x1f\x8b":
        body = mutate.damaged_nifti(body, rng)
    else:
        body = mutate.damaged(body or b"body", rng)
    return replace(request, body=body).having(b"Content-Length: %d" % len(body))


_DAMAGES = (_odd_line, _odd_header, _odd_framing, _odd_body)


def damaged_connection(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One or two requests damaged, dropped, doubled or of another connection, or the end cut off; or blind damage."""
    if rng.random() < 0.1:
        return mutate.damaged(data, rng, others)
    requests = requests_of(data)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(requests))
        requests[at] = rng.choice(_DAMAGES)(requests[at], rng)
    if others and rng.random() < 0.2:
        requests[rng.randrange(len(requests) + 1) : 0] = requests_of(rng.choice(others))
    if len(requests) > 1 and rng.random() < 0.2:
        requests.pop(rng.randrange(len(requests)))
    result = packed(requests)
    return result[: rng.randrange(len(result))] if rng.random() < 0.15 else result
