"""`flare-trt serve` as a process: what it refuses to start with, and how it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.engine.apps.serve.live import JOBS, UPLOAD, counted, until
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.cli import main
from flare_trt.engine.scans.image_files import read_labels

ROOT = Path(__file__).resolve().parents[4]
SLOW_SERVER = Path(__file__).with_name("slow_server.py")
_FAKE = ("--backend", "fake", "--device", "cpu", "--threads", "1")
TOKEN = "0123456789abcdef"  # noqa: S105  # made up


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_bundle(tmp_path_factory.mktemp("model") / "fake", fake_spec())


@dataclass(frozen=True)
class Running:
    """A server process and what talks to it."""

    process: subprocess.Popen[str]
    client: httpx.Client
    gate: Path

    def ask(self, threads: ThreadPoolExecutor, scan: bytes) -> Future[httpx.Response]:
        return threads.submit(self.client.post, JOBS, params={"wait": "true"}, content=scan)

    def ended(self) -> tuple[int, str]:
        """Exit code and what was logged."""
        logged = self.process.communicate(timeout=60)[1]
        return self.process.returncode, logged

    def hurry(self) -> None:
        """Let the running job end."""
        self.gate.touch()


@pytest.fixture
def running(bundle: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    (tmp_path / "token").write_text(TOKEN)
    with started(bundle, tmp_path, tmp_path_factory.mktemp("gate") / "open") as server:
        yield server


@contextmanager
def started(bundle: Path, folder: Path, gate: Path, *more: str) -> Iterator[Running]:
    """A server whose tiles take their time while `gate` is missing; killed at the end. `folder` holds its token."""
    words = ["serve", "--model", str(bundle), *_FAKE, "--port", "0", *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "build" / "typing"), "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, str(SLOW_SERVER), str(gate), *words, "--host", "0.0.0.0", "--token-file", str(folder / "token")],  # noqa: S104  # with a token
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("model  fake ")
    found = re.fullmatch(r"listening on http://0\.0\.0\.0:(\d+)\n", process.stdout.readline())
    assert found is not None, process.communicate()[1]
    headers = {**UPLOAD, "authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{found[1]}", headers=headers, timeout=60) as client:
        yield Running(process, client, gate)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Some thousand tiles for the fake network: minutes of work until it hurries."""
    hu = np.random.default_rng(4).normal(0, 300, (90, 201, 203)).astype("<i2")
    return write_raw(tmp_path_factory.mktemp("scan") / "ct.nii", hu, AXIAL).read_bytes()


def busy(running: Running) -> bool:
    """One job runs and one waits: also the first one is counted as waiting until it runs, so it is asked twice."""

    def one_waits() -> bool:
        return "flare_trt_queue_length 1.0" in running.client.get("/metrics").text

    if not one_waits():
        return False
    time.sleep(0.5)
    return one_waits()


def test_sigterm_ends_the_running_job_and_answers_those_that_wait(running: Running, scan: bytes, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        asked = [running.ask(threads, scan) for _ in range(2)]
        until(lambda: busy(running))
        running.process.send_signal(signal.SIGTERM)
        until(lambda: any(answer.done() for answer in asked))
        running.hurry()
        assert sorted(answer.result().status_code for answer in asked) == [200, 503]
    code, logged = running.ended()
    assert code == 0
    assert "done in" in logged
    assert "Traceback" not in logged
    assert [path.name for path in tmp_path.iterdir()] == ["token"]  # no upload and no result is left


def test_a_second_signal_stops_the_running_job_too(running: Running, scan: bytes) -> None:
    with ThreadPoolExecutor(2) as threads:
        asked = [running.ask(threads, scan) for _ in range(2)]
        until(lambda: busy(running))
        running.process.send_signal(signal.SIGTERM)
        until(lambda: any(answer.done() for answer in asked))
        running.process.send_signal(signal.SIGTERM)
        assert [answer.result().status_code for answer in asked] == [503, 503]
    assert running.ended()[0] == 0


def test_after_kill_9_a_server_with_the_same_jobs_goes_on(
    bundle: Path, scan: bytes, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One job is done, one runs, one waits and one is being sent when the server is killed: of three the results come, of the
    fourth, which nobody was promised, nothing is left."""
    (tmp_path / "token").write_text(TOKEN)
    jobs, gate = tmp_path / "jobs", tmp_path_factory.mktemp("gate") / "open"
    small = scan[: 352 + 12 * 201 * 203 * 2]
    small = small[:46] + (12).to_bytes(2, "little") + small[48:]  # the header's number of slices
    with started(bundle, tmp_path, gate, "--jobs", str(jobs)) as server:
        done = server.client.post(JOBS, params={"wait": "true"}, content=small)
        assert done.status_code == 200, done.text
        names = [done.headers["location"], *(server.client.post(JOBS, content=one).headers["location"] for one in (scan, small))]
        until(lambda: server.client.get(names[1]).json()["tiles_done"] > 0)
        with half_sent(server.client, small):
            until(lambda: len(list(jobs.iterdir())) == 5)  # with the lock
            server.process.kill()
            server.process.wait()
    gate.touch()
    with started(bundle, tmp_path, gate, "--jobs", str(jobs)) as server:
        assert len(list(jobs.iterdir())) == 4
        for name in names:
            until(lambda name=name: server.client.get(name).json()["state"] == "done")
        answers = [server.client.get(f"{name}/labels").content for name in names]
        assert list(jobs.glob("*/upload*")) == []
    assert answers[0] == done.content
    for number, content in enumerate((small, scan, small)):
        (tmp_path / f"{number}.nii").write_bytes(content)
        (tmp_path / f"{number}_served.nii.gz").write_bytes(answers[number])
        target = tmp_path / f"{number}_alone.nii.gz"
        assert main(["segment", str(tmp_path / f"{number}.nii"), "-o", str(target), "--model", str(bundle), *_FAKE]) == 0
        np.testing.assert_array_equal(read_labels(tmp_path / f"{number}_served.nii.gz").array, read_labels(target).array)


@contextmanager
def half_sent(client: httpx.Client, scan: bytes) -> Iterator[None]:
    """An upload of which half has been sent."""
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        fields = {"Host": "127.0.0.1", **UPLOAD, "Authorization": f"Bearer {TOKEN}", "Content-Length": str(len(scan))}
        lines = [f"POST {JOBS} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode() + scan[: len(scan) // 2])
        yield


def test_nothing_that_a_client_names_is_logged(running: Running, scan: bytes, tmp_path: Path) -> None:
    running.client.post(f"{JOBS}/Jane-Doe", params={"wait": "true", "patient": "Jane Doe"}, content=scan[:1000])
    running.client.post(JOBS, params={"wait": "true", "patient": "Jane Doe"}, content=b"Jane Doe" * 100)
    assert counted(running.client, "failed") == 1
    running.process.send_signal(signal.SIGINT)
    code, logged = running.ended()
    assert code == 0
    assert "failed in" in logged
    assert "Jane" not in logged


def test_refused_before_a_network_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--model", str(tmp_path / "none"), "--host", "0.0.0.0"]) == 1  # noqa: S104  # is refused
    assert "host 0.0.0.0: other machines could reach the server, expected --token-file" in capsys.readouterr().err


def test_a_port_that_is_taken(running: Running, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(running.client.base_url.port)
    assert main(["serve", "--model", str(bundle), "--backend", "fake", "--device", "cpu", "--port", port]) == 1
    assert f"127.0.0.1, port {port}: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--port", "70000"], ["--queue", "0"], ["--timeout", "soon"], ["--max-upload", "2"]])
def test_wrong_words_are_usage_errors(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--model", "m", *words])
    assert ended.value.code == 2


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else object())
    assert main(["serve", "--model", "m"]) == 1
    assert "not installed: uvicorn; pip install 'flare-trt[serve]'" in capsys.readouterr().err
