"""The scene names what is labelled, with a place inside each organ; files that do not belong together are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS, LabelSpec
from flare_trt.engine.results.viewer.scene import named, read_scene
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct, write_labels

TURNED = ((0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
GRID = Grid((11, 13, 17), (2.0, 1.5, 1.0), (10.0, -20.0, 30.0), TURNED)


def write(folder: Path, labels: np.ndarray, grid: Grid = GRID) -> tuple[Path, Path]:
    hu = np.random.default_rng(1).integers(-900, 900, GRID.shape_zyx).astype(np.int16)
    write_ct(folder / "ct.nii.gz", Volume(hu, GRID))
    write_labels(folder / "seg.nii.gz", Volume(labels, grid))
    return folder / "ct.nii.gz", folder / "seg.nii.gz"


def ring() -> np.ndarray:
    """A ring, whose centre is not in it, and one voxel of a label that FLARE does not know."""
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[5, 2:11, 3:14] = 5
    labels[5, 4:9, 6:11] = 0
    labels[1, 2, 3] = 77
    return labels


def test_organs_and_places(tmp_path: Path) -> None:
    scene = read_scene(*write(tmp_path, ring()))
    assert (scene.ct, scene.labels) == ("ct.nii.gz", "seg.nii.gz")
    aorta, unknown = scene.organs
    assert (aorta.value, unknown.value) == (5, 77)
    assert (aorta.name, aorta.colour, unknown.name, unknown.volume_ml) == ("aorta", "#e03c31", "label 77", 0.003)
    assert unknown.place_ras_mm == ras_mm(1, 2, 3)
    hu = np.random.default_rng(1).integers(-900, 900, GRID.shape_zyx)
    assert (aorta.mean_hu, unknown.mean_hu) == (round(float(hu[ring() == 5].mean()), 2), float(hu[1, 2, 3]))
    assert len(scene.surfaces) == sum(vertices * 24 + triangles * 12 for vertices, triangles in (aorta.surface, unknown.surface))
    assert min(unknown.surface) > 5
    assert "surfaces" not in scene.as_json()
    assert scene.as_json()["organs"][0]["mean_hu"] == aorta.mean_hu
    voxels = {ras_mm(*voxel): voxel for voxel in np.argwhere(ring() == 5).tolist()}
    assert aorta.place_ras_mm in voxels
    assert voxels[aorta.place_ras_mm][1:] in ([6, 5], [6, 11], [3, 8], [9, 8])  # on the inside of the ring


def test_labels_above_255_and_more_than_can_be_shown(tmp_path: Path) -> None:
    wide = np.where(ring() == 77, 300, ring().astype(np.uint16)).astype(np.uint16)
    assert [organ.value for organ in read_scene(*write(tmp_path, wide)).organs] == [5, 300]
    many = np.arange(wide.size, dtype=np.uint16).reshape(wide.shape) % 257
    with pytest.raises(InputError, match=r"seg\.nii\.gz: got 257 different labels, expected at most 255"):
        read_scene(*write(tmp_path, many))


def test_a_model_lists_its_classes_and_says_which_it_never_looks_for(tmp_path: Path) -> None:
    spec = fake_spec()
    spec = replace(spec, labels=FLARE_LABELS, fine=replace(spec.fine, channel_values=tuple(range(14))))
    scene = read_scene(*write(tmp_path, ring()), spec)
    assert [organ.value for organ in scene.organs] == [*range(1, 15), 77]
    assert [organ.name for organ in scene.organs if not organ.looked_for] == ["tumour"]
    assert {organ.value for organ in scene.organs if organ.place_ras_mm is not None} == {5, 77}


@pytest.mark.parametrize("stored", ["LPS", "RAI", "SLP", "IRA"])
def test_labels_stored_along_other_axes_of_the_same_space(tmp_path: Path, stored: str) -> None:
    straight = read_scene(*write(tmp_path, ring()))
    turn = Reorientation.to(GRID, stored)
    write_labels(tmp_path / "seg.nii.gz", Volume(np.ascontiguousarray(turn.apply(ring())), turn.grid(GRID)))
    assert read_labels(tmp_path / "seg.nii.gz").grid.orientation != GRID.orientation
    assert read_scene(tmp_path / "ct.nii.gz", tmp_path / "seg.nii.gz") == straight


def ras_mm(z: int, y: int, x: int) -> tuple[float, float, float]:
    left, posterior, superior = np.array(GRID.origin_mm) + np.array(TURNED) @ (x * 1.0, y * 1.5, z * 2.0)
    return -left, -posterior, superior


def test_names_come_from_what_is_known_and_the_rest_is_numbered() -> None:
    known = (LabelSpec(3, "left lung", "#010203"),)
    specs = named([0, 3, 9, 4], known)
    assert [(spec.value, spec.name) for spec in specs] == [(3, "left lung"), (4, "label 4"), (9, "label 9")]
    assert len({spec.colour for spec in specs}) == 3


def test_labels_of_another_scan_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the labels lie on another grid \(11 x 13 x 17 voxels of 2 x 1.5 x 3 mm"):
        read_scene(*write(tmp_path, ring(), Grid(GRID.shape_zyx, (2.0, 1.5, 3.0))))


def test_a_file_that_is_no_label_map_is_refused(tmp_path: Path) -> None:
    ct, _ = write(tmp_path, ring())
    with pytest.raises(InputError, match="expected labels: whole numbers 0 to 65535"):
        read_scene(ct, ct)
