"""The description is true: schemathesis sends what it allows and what it does not to a real server and holds the answers to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.engine.apps.serve.live import GatedSegmenter, live, started

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.model.options import RunOptions

#: A body of random bytes is a valid body of the description, and no scan: the server may well refuse it.
LEFT_OUT = "positive_data_acceptance"


@pytest.fixture(params=[None, "correct-horse-battery"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[httpx.Client, str | None]]:
    segmenter = GatedSegmenter()
    segmenter.open_gate()
    limits = Limits(waiting_jobs=4, upload_bytes=100_000, timeout_s=5)
    with started(upload_steps(segmenter, RunOptions()), limits, tmp_path) as service, live(service, request.param) as client:
        yield client, request.param


def test_fuzzing(server: tuple[httpx.Client, str | None], tmp_path: Path) -> None:
    client, token = server
    words = [
        "run",
        f"{client.base_url}/openapi.json",
        "--checks=all",
        f"--exclude-checks={LEFT_OUT}",
        "--phases=coverage,fuzzing,stateful",
    ]
    words += ["--max-examples=25", "--max-time=15", "--seed=7", "--no-color", "--request-timeout=10"]
    words += [] if token is None else ["--header", f"Authorization: Bearer {token}"]
    fuzz = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", *words]
    done = subprocess.run(fuzz, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert client.get("/health").status_code == 200
