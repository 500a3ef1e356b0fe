"""However a scan lies in its file, the same anatomy comes back at the same place in the patient; left stays left."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from tests.properties.sided_model import PAIRS, phantom, write_sided_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.segmenter import Segmenter

ORIENTATIONS = ["".join(c) for order in itertools.permutations(("RL", "AP", "SI")) for c in itertools.product(*order)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sided_bundle(tmp_path_factory.mktemp("model") / "sided")


@pytest.fixture(scope="module")
def segmenter(bundle: Path) -> Any:
    with Segmenter.open(bundle, RunOptions(device="cpu", threads=1)) as opened:
        yield opened


def as_nifti(volume: Volume) -> Nifti1Image:
    """The volume as nibabel holds it: (x, y, z) and RAS."""
    grid = volume.grid
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(grid.direction) * np.asarray(grid.spacing_mm[::-1])
    affine[:3, 3] = grid.origin_mm
    image = Nifti1Image(np.asarray(volume.array).transpose(2, 1, 0), np.diag([-1, -1, 1, 1]) @ affine)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    return image


def turned(image: Nifti1Image, axes: str) -> Nifti1Image:
    """The same image stored with its axes running to `axes` ("LPS"), by nibabel."""
    return image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(axes)))


def world_centre(labels: np.ndarray, value: int, grid: Grid) -> np.ndarray:
    """LPS centre in mm of a label of a (z, y, x) array."""
    index = np.argwhere(labels == value).mean(0)[::-1]
    return np.asarray(grid.direction) @ (index * np.asarray(grid.spacing_mm[::-1])) + np.asarray(grid.origin_mm)


def dice(found: np.ndarray, true: np.ndarray, value: int) -> float:
    a, b = found == value, true == value
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_there_are_48_ways_to_store_a_scan() -> None:
    assert len(set(ORIENTATIONS)) == 48


def test_sides_are_told_at_all(segmenter: Segmenter) -> None:
    """The premise of this file: right and left come out as the phantom has them."""
    ct, true = phantom()
    found = segmenter.segment(ct).labels.array
    for pair in PAIRS:
        assert min(dice(found, true.array, value) for value in pair) > 0.75
        assert dice(found, np.where(true.array == pair[0], pair[1], 0), pair[1]) < 0.1


def test_all_48_orientations_of_a_file_give_the_same_anatomy(bundle: Path, tmp_path: Path) -> None:
    """Turned by nibabel, segmented file by file, turned back by nibabel: each voxel of the patient has the same label."""
    ct, true = phantom()
    image = as_nifti(ct)
    (tmp_path / "scans").mkdir()
    for axes in ORIENTATIONS:
        turned(image, axes).to_filename(tmp_path / "scans" / f"{axes}.nii")
    words = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out"), "--model", str(bundle), "--device", "cpu"]
    assert main(words) == 0
    upright = {axes: turned(Nifti1Image.from_filename(tmp_path / "out" / f"{axes}.nii"), "LPS") for axes in ORIENTATIONS}
    expected = np.asarray(upright["LPS"].dataobj)
    assert dice(expected.T, true.array, 2) > 0.75
    wrong = [axes for axes, found in upright.items() if not np.array_equal(np.asarray(found.dataobj), expected)]
    moved = [axes for axes, found in upright.items() if np.abs(found.affine - image.affine).max() > 1e-3]
    assert (wrong, moved) == ([], [])


@pytest.mark.parametrize("seed", range(6))
def test_an_oblique_affine_keeps_the_sides(segmenter: Segmenter, seed: int) -> None:
    """A patient who lies up to 40 degrees askew: the array is the same, so are its labels, and they go along."""
    ct, _ = phantom()
    random = np.random.default_rng(seed)
    rotation = rotation_about(random.normal(size=3), random.uniform(5, 40))
    direction = tuple(tuple(float(v) for v in row) for row in rotation)
    askew = Volume(ct.array, Grid(ct.grid.shape_zyx, ct.grid.spacing_mm, (5.0, -80.0, 33.0), direction))  # type: ignore[arg-type]
    expected, found = segmenter.segment(ct).labels, segmenter.segment(askew).labels
    np.testing.assert_array_equal(found.array, expected.array)
    assert found.grid == askew.grid


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SLP", "PIR"])
@pytest.mark.parametrize("degrees", [17.0, 33.0])
def test_a_scan_cut_obliquely_through_the_same_patient(segmenter: Segmenter, axes: str, degrees: float) -> None:
    """Re-sliced by SciPy along turned axes: other voxels, the same patient; organs stay where they are, on their side."""
    ct, true = phantom()
    scan = resliced(ct, axes, degrees)
    found = segmenter.segment(scan).labels
    for right, left in PAIRS:
        for value in (right, left):
            offset = world_centre(found.array, value, scan.grid) - world_centre(true.array, value, true.grid)
            assert np.abs(offset).max() < 3.0  # mm, a voxel or so
        assert world_centre(found.array, right, scan.grid)[0] < world_centre(found.array, left, scan.grid)[0]


@pytest.mark.parametrize("slice_mm", [1.3, 3.9, 5.2])
def test_other_slices_of_the_same_patient(segmenter: Segmenter, slice_mm: float) -> None:
    """The same patient in thinner and thicker slices: every organ covers its true place there."""
    depth = round(SHAPE_MM / slice_mm)
    ct, true = phantom(Grid((depth, 41, 39), (slice_mm, 2.0, 2.2), (-40.0, -35.0, 12.0)))
    found = segmenter.segment(ct).labels.array
    scores = {value: dice(found, true.array, value) for pair in PAIRS for value in pair}
    assert min(scores.values()) > 0.65, scores


SHAPE_MM = 31 * 2.6


def rotation_about(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def resliced(ct: Volume, axes: str, degrees: float) -> Volume:
    """Another scan of the same patient: index axes turned by `degrees` off `axes`, 2.2 mm voxels, linear interpolation."""
    from scipy import ndimage

    world = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    straight = np.array([world[letter] for letter in axes], float).T
    direction = rotation_about(np.array([0.3, -0.5, 0.8]), degrees) @ straight
    spacing, size = 2.2, 51
    middle = np.asarray(ct.grid.origin_mm) + (np.array(ct.grid.shape_zyx[::-1]) - 1) / 2 * np.array(ct.grid.spacing_mm[::-1])
    origin = middle - direction @ np.full(3, spacing * (size - 1) / 2)
    index = np.indices((size, size, size))[:, :, :, :].reshape(3, -1)[::-1]  # (x, y, z) of voxels in (z, y, x) order
    place = (direction @ (index * spacing) + origin[:, None] - np.asarray(ct.grid.origin_mm)[:, None])[::-1]
    voxels = place / np.asarray(ct.grid.spacing_mm)[:, None]
    hu = ndimage.map_coordinates(ct.array.astype(np.float32), voxels, order=1, mode="constant", cval=-1000)
    rows = tuple(tuple(float(v) for v in row) for row in direction)
    grid = Grid((size, size, size), (spacing,) * 3, tuple(float(v) for v in origin), rows)  # type: ignore[arg-type]
    return Volume(np.rint(hu).astype(np.int16).reshape(size, size, size), grid)


@pytest.mark.parametrize(("orientation", "told"), [("SPL", False), ("as-stored", True)])
def test_a_model_that_never_turns_scans_says_so(tmp_path: Path, orientation: str, told: bool) -> None:
    """A network that takes scans as they are stored would swap the sides of a turned one: not without a word."""
    image = as_nifti(phantom()[0])
    for axes in ("LPS", "RAS"):
        turned(image, axes).to_filename(tmp_path / f"{axes}.nii")
    with Segmenter.open(write_sided_bundle(tmp_path / "sided", orientation), RunOptions(device="cpu", threads=1)) as segmenter:
        straight, other = (segmenter.segment(read_ct(tmp_path / f"{axes}.nii")).report.warnings for axes in ("LPS", "RAS"))
    assert straight == ()
    assert any("sides may be swapped" in warning for warning in other) == told
