"""Many clients at one server at once: is every request answered or refused, and every answer right?"""

from __future__ import annotations

import gzip
import http.client
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from flare_trt.benchmarks.measure.host_memory import rss_mb_of
from flare_trt.engine.base.errors import FlareError

_POST = "/v1/segmentations?wait=true"
_HEADERS = {"Content-Type": "application/octet-stream"}
#: A refused client comes back after this, not after the server's Retry-After: the load is meant to be heavy.
_AGAIN_S = 0.2


@dataclass(frozen=True)
class ServiceLoad:
    """Answers by status code; `wrong` labels differ from the first ones of the same scan, `lost` requests got no answer."""

    clients: int
    seconds: float
    answers: dict[int, int]
    wrong: int
    lost: int
    median_s: float
    slowest_s: float
    rss_mb: tuple[float, float]  # at the start and at the end


@dataclass
class _Tally:
    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: Counter[int] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    first: dict[int, bytes] = field(default_factory=dict)
    wrong: int = 0
    lost: int = 0

    def add(self, number: int, status: int, body: bytes, wait_s: float) -> None:
        labels = gzip.decompress(body) if status == 200 else b""
        with self.lock:
            self.answers[status] += 1
            if status == 200:
                self.waits_s.append(wait_s)
                self.wrong += self.first.setdefault(number, labels) != labels


def load_service(bundle: Path, scans: Sequence[Path], clients: int, seconds: float) -> ServiceLoad:
    """Start `flare-trt serve` on loopback and let `clients` threads post scans for so long. Raises FlareError without a server."""
    bodies, tally = [scan.read_bytes() for scan in scans], _Tally()
    with _server(bundle) as (process, address):
        before = rss_mb_of(process.pid)
        stop_at = time.monotonic() + seconds
        threads = [threading.Thread(target=_client, args=(address, bodies, number, stop_at, tally)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = rss_mb_of(process.pid)
    waits = tally.waits_s or [float("nan")]
    median = quantiles(waits, n=2)[0] if len(waits) > 1 else waits[0]
    answers = dict(sorted(tally.answers.items()))
    return ServiceLoad(clients, seconds, answers, tally.wrong, tally.lost, median, max(waits), (before, after))


def _client(address: str, bodies: Sequence[bytes], number: int, stop_at: float, tally: _Tally) -> None:
    mine = number % len(bodies)
    while time.monotonic() < stop_at:
        start = time.monotonic()
        try:
            status, body = _post(address, bodies[mine])
        except OSError:
            with tally.lock:
                tally.lost += 1
            continue
        tally.add(mine, status, body, time.monotonic() - start)
        if status != 200:
            time.sleep(_AGAIN_S)


def _post(address: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    try:
        connection.request("POST", _POST, body, _HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


@contextmanager
def _server(bundle: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    words = ["serve", "--model", str(bundle), "--device", "cpu", "--port", "0", "--queue", "16"]
    command = [sys.executable, "-m", "flare_trt.engine", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            lines = [] if process.stdout is None else [process.stdout.readline() for _ in range(2)]
            if not lines or not lines[-1].startswith("listening on "):
                raise FlareError(f"flare-trt serve did not start: {' '.join(lines).strip() or 'it printed nothing'}")
            yield process, lines[-1].split()[-1]
        finally:
            process.terminate()
