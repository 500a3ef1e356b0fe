"""TensorRT and CuPy as strict fakes, with an empty cache folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.fakes import fake_cupy, fake_tensorrt


@pytest.fixture
def tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The fake TensorRT on the fake CuPy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_cupy.installed(), fake_tensorrt.installed() as fake:
        yield fake
