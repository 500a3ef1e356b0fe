"""Which affine counts, against SimpleITK reading the same header; what is odd triggers a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.nifti_affine import affine_warnings, header_grid, nibabel_orientation

SHAPE_ZYX, SPACING_XYZ = (5, 4, 3), (0.7, 0.8, 2.5)


def affine(axes: NDArray[Any], shift: float = 0.0) -> NDArray[np.float64]:
    """A RAS affine with these unit axes in its columns."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(SPACING_XYZ)
    matrix[:3, 3] = (-31.0 + shift, 17.5, -400.25)
    return matrix


def turned(degrees: float) -> NDArray[np.float64]:
    a = np.radians(degrees)
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]])


def header(qform: tuple[NDArray[Any], int] | None, sform: tuple[NDArray[Any], int] | None) -> Any:
    image = nibabel.Nifti1Image(np.zeros(SHAPE_ZYX[::-1], np.int16), None)
    image.header.set_zooms(SPACING_XYZ)
    image.set_sform(*(sform or (None, 0)))
    image.set_qform(*(qform or (None, 0)), strip_shears=True)
    image.header.set_zooms(SPACING_XYZ)
    return image.header


def as_itk(found: Any, path: Path) -> tuple[tuple[float, ...], ...]:
    """Spacing, origin and direction by SimpleITK, in its own order."""
    sitk = pytest.importorskip("SimpleITK")
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE_ZYX[::-1], np.int16), None, found), path)
    raw = bytearray(path.read_bytes())
    raw[:348] = found.binaryblock  # nibabel would write an affine of its own
    path.write_bytes(raw)
    image = sitk.ReadImage(str(path))
    return image.GetSpacing(), image.GetOrigin(), image.GetDirection()


CASES = {
    "sform alone": (None, (affine(turned(12)), 1)),
    "qform alone": ((affine(turned(-9)), 1), None),
    "a scanner's sform before a qform": ((affine(turned(0)), 1), (affine(turned(20)), 1)),
    "another sform that disagrees": ((affine(turned(0)), 1), (affine(turned(20)), 2)),
    "another sform that nearly agrees": ((affine(turned(0)), 1), (affine(turned(0), 0.0), 2)),
    "a mirrored sform": (None, (affine(np.diag([-1.0, -1.0, 1.0])), 1)),
    "neither": (None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_grid_is_that_of_itk(name: str, tmp_path: Path) -> None:
    found = header(*CASES[name])
    grid = header_grid(found, SHAPE_ZYX)
    spacing, origin, direction = as_itk(found, tmp_path / "x.nii")
    np.testing.assert_allclose(grid.spacing_mm[::-1], spacing, rtol=1e-6)
    np.testing.assert_allclose(grid.origin_mm, origin, atol=1e-4)
    np.testing.assert_allclose(np.array(grid.direction).ravel(), direction, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_orientation_of_nibabel_is_nibabels(name: str) -> None:
    found = header(*CASES[name])
    assert nibabel_orientation(found) == "".join(reversed(nibabel.aff2axcodes(found.get_best_affine())))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (CASES["neither"], "sets neither qform nor sform"),
        (CASES["another sform that disagrees"], "apart: the qform is used"),
        (CASES["a scanner's sform before a qform"], "apart: the sform is used"),
        ((None, (affine(turned(0)) * 1.1, 1)), "differs from pixdim"),
        ((None, (affine(turned(0) + np.array([[0, 5e-4, 0], [0, 0, 0], [0, 0, 0]])), 1)), "off from right angles by 0.0005"),
    ],
)
def test_what_is_odd_triggers_a_warning(given: Any, words: str) -> None:
    found = header(*given)
    (warning,) = affine_warnings(found, header_grid(found, SHAPE_ZYX))
    assert words in warning


@pytest.mark.parametrize("name", ["sform alone", "qform alone", "another sform that nearly agrees", "a mirrored sform"])
def test_what_is_plain_triggers_none(name: str) -> None:
    found = header(*CASES[name])
    assert affine_warnings(found, header_grid(found, SHAPE_ZYX)) == ()


def test_a_sheared_sform_alone_is_refused() -> None:
    found = header(None, (affine(turned(0) + np.array([[0, 0.1, 0], [0, 0, 0], [0, 0, 0]])), 1))
    with pytest.raises(InputError, match=r"right angles|shear"):
        header_grid(found, SHAPE_ZYX)


def test_a_unit_of_metres_counts() -> None:
    found = header(None, (affine(turned(0)), 1))
    found.set_xyzt_units("meter")
    assert header_grid(found, SHAPE_ZYX).spacing_mm == pytest.approx([mm * 1000 for mm in SPACING_XYZ[::-1]])
