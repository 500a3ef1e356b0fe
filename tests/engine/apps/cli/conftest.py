"""`flare-trt segment` with a segmenter that bands the HU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.apps.cli.banding import BODY, FakeSegmenter
from tests.engine.scans.nifti_files import write_raw
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.segmenter import Segmenter


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def fake(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeSegmenter]:
    """Replaces the segmenter that the command opens, and counts the openings."""
    with Segmenter.open(bundle) as real:
        spec = real.spec
    FakeSegmenter.opened = 0

    def opened(*_: object) -> FakeSegmenter:
        FakeSegmenter.opened += 1
        return FakeSegmenter(spec)

    monkeypatch.setattr(Segmenter, "open", opened)
    return FakeSegmenter


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three CT-like scans of odd sizes, named FLARE's way."""
    folder = tmp_path / "scans"
    folder.mkdir()
    random = np.random.default_rng(1)
    for number, shape in enumerate([(21, 31, 41), (23, 30, 29), (19, 27, 33)]):
        hu = random.normal(0, 150, shape)
        hu[:, :9] = -1000
        write_raw(folder / f"case{number}_0000.nii.gz", hu.astype("<i2"), BODY)
    return folder
