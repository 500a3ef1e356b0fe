"""A tilted gantry corrected: the voxels equal the body at their own places in the patient, labels go back onto the slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from tests.engine.scans.dicom.series_files import AXIAL, Look, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.dicom.choice import SeriesChoice
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.tilt import AIR_HU
from flare_trt.engine.scans.scan_reader import spooled_ct, whole_ct

SHAPE, SPACING_MM, ORIGIN_MM = (27, 45, 33), (2.5, 1.6, 1.9), (-31.5, -40.25, -400.0)
TABLE_MM = 2.5


def body(places_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """HU at places (..., 3) in LPS: smooth, and different along each axis."""
    x, y, z = np.moveaxis(places_mm - (0, 0, -370), -1, 0)
    return 60 + 4 * z + 150 * np.sin(y / 12) * np.cos(z / 15 + 0.4) + 90 * np.sin(x / 14 + y / 30)


def organ(places_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """An ellipsoid off the middle."""
    return np.asarray((((places_mm - (-4, 3, -366)) / (14, 19, 11)) ** 2).sum(axis=-1) < 1)


def slice_frames(degrees: float, tilted_rows: bool) -> tuple[tuple[float, ...], NDArray[np.float64]]:
    """Row and column, and the step from slice to slice: the table's way along z, or, as some archives have it, slices along it."""
    angle = np.radians(degrees)
    if tilted_rows:
        return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle))), np.array((0, 0, TABLE_MM))
    return AXIAL, np.array((0, TABLE_MM * np.tan(angle), TABLE_MM))


def slice_places(cosines: tuple[float, ...], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """LPS in mm of each pixel (z, y, x, 3)."""
    z, y, x = np.indices(SHAPE)[..., None]
    row, column = np.array(cosines).reshape(2, 3)
    return np.array(ORIGIN_MM) + z * step + y * SPACING_MM[1] * column + x * SPACING_MM[2] * row


def grid_places(grid: Grid) -> NDArray[np.float64]:
    z, y, x = np.indices(grid.shape_zyx)
    offsets = np.stack([x, y, z], axis=-1) * grid.spacing_mm[::-1]
    return offsets @ np.asarray(grid.direction).T + grid.origin_mm


def tilted_series(folder: Path, degrees: float, tilted_rows: bool = True) -> tuple[Path, NDArray[np.float64]]:
    cosines, step = slice_frames(degrees, tilted_rows)
    places = slice_places(cosines, step)

    def shifted(dataset: Any, z: int) -> None:
        dataset.ImagePositionPatient = [f"{mm:.6f}" for mm in np.array(ORIGIN_MM) + z * step]

    look = Look(spacing_mm=SPACING_MM, cosines=cosines, change=shifted)
    return write_series(folder / "ct", np.rint(body(places)).astype(np.int16), look), places


def inside(places_mm: NDArray[np.float64], cosines: tuple[float, ...], step: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The places between the first and the last slice, row and column."""
    row, column = np.array(cosines).reshape(2, 3)
    steps = np.stack([step, column * SPACING_MM[1], row * SPACING_MM[2]], axis=1)
    index = (places_mm - ORIGIN_MM) @ np.linalg.inv(steps).T
    return np.asarray(((index > -1e-6) & (index < np.array(SHAPE) - 1 + 1e-6)).all(axis=-1))


@pytest.mark.parametrize("tilted_rows", [True, False])
@pytest.mark.parametrize("degrees", [21.0, -21.0])
def test_voxels_are_the_body_s_at_their_places(tmp_path: Path, degrees: float, tilted_rows: bool) -> None:
    series, slices = tilted_series(tmp_path, degrees, tilted_rows)
    reader = DicomReader(series, correct_tilt=True)
    assert reader.warnings == ("a gantry tilt of 21.0 degrees was corrected: the scan was resampled onto an upright grid",)
    np.testing.assert_allclose(reader.grid.direction, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(reader.grid.spacing_mm, (TABLE_MM, *SPACING_MM[1:]))
    places = grid_places(reader.grid)
    for corner in (slices.min(axis=(0, 1, 2)), slices.max(axis=(0, 1, 2))):  # it holds all slices
        assert (np.abs(places.reshape(-1, 3) - corner).min(axis=0) < np.array(reader.grid.spacing_mm[::-1])).all()
    seen = inside(places, *slice_frames(degrees, tilted_rows))
    ct = whole_ct(reader)
    assert ct.array.dtype == np.int16
    away = np.abs(ct.array - body(places))[seen]
    assert seen.mean() > 0.4
    assert away.max() < 6  # the bend of the body between two voxels; the wrong sign is off by hundreds
    outside = ~inside(places, *slice_frames(degrees, tilted_rows)) & (ct.array == AIR_HU)
    assert outside.mean() > 0.05
    np.testing.assert_array_equal(spooled_ct(reader).array[:, :, :], ct.array)
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in reader.slabs(5)]), ct.array)


@pytest.mark.parametrize("degrees", [21.0, -21.0])
def test_labels_go_back_onto_the_slices(tmp_path: Path, degrees: float) -> None:
    series, slices = tilted_series(tmp_path, degrees)
    tilt = DicomReader(series, correct_tilt=True).tilt
    assert tilt is not None
    found = tilt.onto_slices(organ(grid_places(tilt.grid)).astype(np.uint8))
    spacing_mm = np.array(tilt.grid.spacing_mm[::-1])
    nearest = np.rint((slices - tilt.grid.origin_mm) / spacing_mm) * spacing_mm + tilt.grid.origin_mm
    assert (found != organ(nearest)).mean() < 1e-3  # where two are as near
    wanted = organ(slices)
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.94
    for z in (0, 11, 26):
        z_at, y_at, x_at = ((slices[z, 20, 16] - tilt.grid.origin_mm) / spacing_mm)[::-1]
        assert tilt.slice_at((z_at, y_at, x_at)) == z


def test_without_being_asked_it_is_refused_and_the_option_is_named(tmp_path: Path) -> None:
    series, _ = tilted_series(tmp_path, -12.5)
    with pytest.raises(InputError, match=r"gantry tilt of 12\.5 degrees\), expected a right-angled stack; .* --correct-tilt"):
        DicomReader(series)
    rules = ("original-axial", "thinnest")
    with pytest.raises(InputError, match="no series that can be segmented"):
        SeriesChoice(rules=rules).open(series)
    assert SeriesChoice(rules=rules, correct_tilt=True).open(series).tilt is not None


def test_an_upright_series_is_as_it_was(tmp_path: Path) -> None:
    series, _ = tilted_series(tmp_path, 0.0)
    corrected, plain = DicomReader(series, correct_tilt=True), DicomReader(series)
    assert (corrected.tilt, corrected.warnings, corrected.grid) == (None, (), plain.grid)
    np.testing.assert_array_equal(whole_ct(corrected).array, whole_ct(plain).array)


def test_slices_that_are_missing_are_refused_in_a_tilted_series_too(tmp_path: Path) -> None:
    series, _ = tilted_series(tmp_path, 21.0)
    by_place = sorted(series.iterdir(), key=lambda file: float(pydicom.dcmread(file).ImagePositionPatient[2]))
    by_place[9].unlink()
    with pytest.raises(InputError, match="1 missing between"):
        DicomReader(series, correct_tilt=True)
