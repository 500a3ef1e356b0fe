"""The same HU give the same labels, in whatever type and scale a file stores them; what is not HU triggers a warning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.nifti1 import Nifti1Header
from tests.engine.scans.nifti_files import Forms, affine, write_raw
from tests.properties.noise_model import write_noise_bundle
from tests.properties.sided_model import phantom

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import open_image, read_ct
from flare_trt.engine.scans.scan_reader import spooled_ct, whole_ct
from flare_trt.engine.segmenter import Segmenter

PLACE = Forms(sform=affine(np.diag([-1, -1, 1]), (2.1, 2.3, 2.6), (40, 35, 12)), sform_code=1)
HU = phantom()[0].array
#: NumPy type, scl_slope, scl_inter: each can hold every HU of the phantom exactly.
STORED = [
    ("<i2", 1, 0),
    (">i2", 1, 0),
    ("<i2", 0, 77),  # a slope of 0 means that there is no scaling in ITK but for the intercept, which holds
    ("<i2", np.nan, np.nan),
    ("<i2", 1, -1024),
    ("<u2", 1, -1024),
    (">u2", 0.5, -2048),
    ("<i2", 0.25, 0),
    ("<i2", -1, 0),
    ("<i4", 2.0**-10, -1024),
    ("<u4", 1, -3000),
    ("<i8", 1, 0),
    (">u8", 1, -1024),
    ("<f4", 1, 0),
    (">f4", 4, -1024),
    ("<f8", 1, 0),
    ("<f8", 1000, 24),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_bundle(tmp_path_factory.mktemp("model") / "noise")


@pytest.fixture(scope="module")
def segmenter(bundle: Path) -> Iterator[Segmenter]:
    with Segmenter.open(bundle, RunOptions(device="cpu", threads=1)) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    ct = read_ct(write_raw(tmp_path_factory.mktemp("plain") / "ct.nii", HU.astype("<i2"), PLACE))
    return np.asarray(segmenter.segment(ct).labels.array)


def stored(path: Path, dtype: str, slope: float, intercept: float) -> Path:
    """The phantom's HU as numbers of `dtype` with this scaling."""

    def scale(header: Nifti1Header) -> None:
        header["scl_slope"], header["scl_inter"] = slope, intercept

    real_slope = slope if np.isfinite(slope) and slope else 1.0
    numbers = (HU.astype(np.float64) - (intercept if np.isfinite(intercept) else 0)) / real_slope
    return write_raw(path, numbers.astype(dtype), PLACE, scale)


@pytest.mark.parametrize(("dtype", "slope", "intercept"), STORED)
def test_the_same_hu_give_the_same_labels(
    segmenter: Segmenter, expected: np.ndarray, tmp_path: Path, dtype: str, slope: float, intercept: float
) -> None:
    path = stored(tmp_path / "ct.nii.gz", dtype, slope, intercept)
    for taken in (whole_ct, spooled_ct):
        ct = taken(open_image(path))
        np.testing.assert_array_equal(ct.array[:, :, :], HU)
        np.testing.assert_array_equal(segmenter.segment(ct).labels.array, expected)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["<i4", ">i4", "<i8", "<f4", "<f8"]), st.integers(-6, 6), st.booleans(), st.integers(-8000, 8000))
def test_any_scaling_that_loses_nothing(
    segmenter: Segmenter, expected: np.ndarray, tmp_path: Path, dtype: str, power: int, negative: bool, intercept: int
) -> None:
    slope = -(2.0**power) if negative else 2.0**power
    if power > 0 and dtype[1] == "i":
        slope = 1 / slope  # whole numbers hold fractions of a HU, not multiples
    ct = read_ct(stored(tmp_path / "ct.nii", dtype, slope, intercept))
    np.testing.assert_array_equal(segmenter.segment(ct).labels.array, expected)


def _eight_bit(hu: np.ndarray) -> np.ndarray:
    return (np.clip((hu + 160.0) / 400, 0, 1) * 255).astype("u1")


def _like_mr(hu: np.ndarray) -> np.ndarray:
    return ((hu + 1100.0) / 4).astype("<u2")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ((HU + 1024).astype("<u2"), "HU + 1024"),
        (_eight_bit(HU), "8-bit"),
        (_like_mr(HU), "MR"),
        (HU.astype("<f4") / 1000, "not in HU"),
        (HU.astype("<i2"), None),
    ],
    ids=["offset", "8 bit", "mr", "per mille", "hu"],
)
def test_what_is_not_hu_is_told_with_the_labels(
    bundle: Path, tmp_path: Path, values: np.ndarray, word: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_raw(tmp_path / "ct.nii.gz", values, PLACE)
    words = ["segment", str(path), "-o", str(tmp_path / "labels.nii.gz"), "--model", str(bundle), "--device", "cpu"]
    assert main([*words, "--report", str(tmp_path / "report.json")]) == 0
    warnings = json.loads((tmp_path / "report.json").read_text())["warnings"]
    if word is None:
        assert warnings == []
        return
    assert any(word in warning for warning in warnings)
    assert word in capsys.readouterr().err
