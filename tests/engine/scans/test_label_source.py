"""Labels of any origin on a scan's grid: other axes, parts, DICOM-SEG, names, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.scans.dicom.series_files import AXIAL, OBLIQUE, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.label_source import on_grid, read_named_labels, read_names
from flare_trt.engine.scans.nifti import write_labels

SHAPE = (7, 31, 27)
GRID = Grid(SHAPE, (2.5, 0.8, 0.7), (-31.5, 12.25, -400.0))
HERE = Path("labels")


@pytest.mark.parametrize("orientation", ["SPL", "IPL", "LPS", "RAI", "PSR"])
def test_axes_stored_another_way_are_turned(orientation: str) -> None:
    turn, labels = Reorientation.to(GRID, orientation), blobs(SHAPE)
    turned = Volume(np.ascontiguousarray(turn.apply(labels)), turn.grid(GRID))
    np.testing.assert_array_equal(on_grid(HERE, turned, GRID).array, labels)


def test_a_part_of_the_scan_is_put_at_its_place() -> None:
    labels = blobs(SHAPE)
    part = Volume(labels[2:5, 4:20], replace(GRID, shape_zyx=(3, 16, 27), origin_mm=(-31.5, 12.25 + 4 * 0.8, -395.0)))
    placed = on_grid(HERE, part, GRID).array
    np.testing.assert_array_equal(placed[2:5, 4:20], labels[2:5, 4:20])
    assert not placed[[0, 1, 5, 6]].any()


@pytest.mark.parametrize(
    "grid",
    [
        replace(GRID, origin_mm=(-31.2, 12.25, -400.0)),
        replace(GRID, spacing_mm=(2.5, 0.8, 0.71)),
        replace(GRID, spacing_mm=(5.0, 0.8, 0.7)),
        replace(GRID, direction=((0.999848, 0.0174524, 0), (-0.0174524, 0.999848, 0), (0, 0, 1))),
        replace(GRID, origin_mm=(-31.5, 12.25, -402.5)),
    ],
)
def test_another_grid_is_refused_with_both(grid: Grid) -> None:
    with pytest.raises(
        InputError, match=r"labels (lie on another grid|reach beyond the scan).*name the scan that they were made from"
    ):
        on_grid(HERE, Volume(np.zeros(SHAPE, np.uint8), grid), GRID)


@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, OBLIQUE])
def test_a_dicom_seg_with_its_own_names(tmp_path: Path, cosines: tuple[float, ...]) -> None:
    reader, labels = DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=cosines))), blobs(SHAPE)
    labels[[0, -1]] = 0  # planes without labels are not in the file
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    found = read_named_labels(tmp_path / "seg.dcm", None, reader.grid)
    np.testing.assert_array_equal(found.volume.array, labels)
    assert (found.names[1], found.names[14]) == ("liver", "tumour")
    other = {name_value + 50: name for name_value, name in found.names.items()}
    moved = read_named_labels(tmp_path / "seg.dcm", other, reader.grid)
    np.testing.assert_array_equal(moved.volume.array, np.where(labels > 0, labels + 50, 0))


def test_names_of_values(tmp_path: Path) -> None:
    labels = np.where(blobs(SHAPE) == 1, 1, 0).astype(np.uint8)
    write_labels(tmp_path / "a.nii.gz", Volume(labels, GRID))
    assert 14 not in read_named_labels(tmp_path / "a.nii.gz", None, GRID).names
    write_labels(tmp_path / "b.nii.gz", Volume(labels * 40, GRID))
    with pytest.raises(InputError, match="got the label values 40, which have no name"):
        read_named_labels(tmp_path / "b.nii.gz", None, GRID)
    assert read_named_labels(tmp_path / "b.nii.gz", {40: "rib"}, GRID).names == {40: "rib"}


@pytest.mark.parametrize(
    "text", ['{"1": "liver", "40": "rib"}', '{"liver": 1, "rib": 40}', '{"labels": {"background": 0, "liver": 1, "rib": "40"}}']
)
def test_tables_of_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.json").write_text(text)
    assert read_names(tmp_path / "names.json") == {1: "liver", 40: "rib"}


@pytest.mark.parametrize("content", ["[1]", "{", {"1": "a", "65536": "b"}, {}, {"a": 1, "b": 1}])
def test_what_is_no_table_of_names(tmp_path: Path, content: object) -> None:
    (tmp_path / "names.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match="expected"):
        read_names(tmp_path / "names.json")


def test_what_is_no_segmentation(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"nothing")
    file = next(write_series(tmp_path / "ct", small_ct(SHAPE)).iterdir())
    for path in (tmp_path / "a.dcm", file.rename(tmp_path / "b.dcm")):
        with pytest.raises(InputError, match="no DICOM-SEG that can be read"):
            read_named_labels(path, None, GRID)
