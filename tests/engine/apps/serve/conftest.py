"""A service whose tiles wait for the test, as most tests here have it; no test of a service leaves its thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.apps.serve.live import GatedSegmenter, started

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.model.options import RunOptions


@pytest.fixture(autouse=True)
def no_segmenting_thread_is_left() -> Iterator[None]:
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "segment"] == []


@pytest.fixture
def limits() -> Limits:
    """Of the service; a module may have its own."""
    return Limits(timeout_s=600)


@pytest.fixture
def gated() -> GatedSegmenter:
    return GatedSegmenter()


@pytest.fixture
def service(gated: GatedSegmenter, limits: Limits, tmp_path: Path) -> Iterator[Service]:
    """Its jobs lie in tmp_path/jobs."""
    (tmp_path / "jobs").mkdir()
    with started(upload_steps(gated, RunOptions()), limits, tmp_path / "jobs", gated.open_gate) as running:
        yield running
