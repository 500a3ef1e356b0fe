"""Values that the engine's tests share."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.read_ahead import read_ahead
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.scans import scan_reader
from tests.engine.fake_bundle import fake_spec
from tests.fakes.gpus import fake_gpus

MakeStage = Callable[..., StageSpec]


@pytest.fixture
def make_stage() -> MakeStage:
    """A stage for small arrays; keyword arguments change its fields."""
    base = fake_spec().fine
    return lambda **changes: replace(base, **changes)


@pytest.fixture
def ct() -> Volume:
    """A smooth CT-like int16 volume with a different odd size and spacing on each axis."""
    from scipy import ndimage

    rng = np.random.default_rng(7)
    noise = ndimage.gaussian_filter(rng.normal(size=(37, 45, 51)), 3)
    array = (noise / noise.std() * 150 + 20).astype(np.int16)
    return Volume(array, Grid(array.shape, (2.6, 1.2, 1.1)))


@pytest.fixture
def gpu(tmp_path: Path) -> Iterator[None]:
    """A fake GPU that runs the real CUDA sources."""
    with fake_gpus(tmp_path / "cache"):
        yield


@pytest.fixture
def unpacked_ahead(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The streams of slabs that a thread unpacks ahead of the reader, one a scan."""
    streams: list[object] = []

    def noted(slabs: Any, ahead: int) -> Any:
        streams.append(slabs)
        return read_ahead(slabs, ahead)

    monkeypatch.setattr(scan_reader, "read_ahead", noted)
    return streams
