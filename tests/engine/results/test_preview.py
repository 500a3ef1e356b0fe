"""The picture shows the right plane the right way round, in the labels' colours, with square pixels."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.preview import cuts, outlined, preview_png, slice_strip
from flare_trt.engine.scans.disk_array import DiskArray

COLOURS = (LabelSpec(1, "liver", "#ff0000"), LabelSpec(2, "spleen", "#00ff80"))
#: z to Superior, y to Posterior, x to Left.
GRID = Grid((30, 20, 40), (4.0, 2.0, 1.0))


@pytest.fixture
def scan() -> tuple[Volume, Volume]:
    """Air, with a bright block in the patient's right upper front, and the labels around the middle."""
    hu = np.full(GRID.shape_zyx, -1000, np.int16)
    hu[20:, :7, :10] = 1000
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[22:27, 2:5, 3:8] = 1
    labels[24, 3, 5] = 2
    return Volume(hu, GRID), Volume(labels, GRID)


def picture(ct: Volume, labels: Volume) -> np.ndarray:
    with Image.open(io.BytesIO(preview_png(ct, labels, COLOURS))) as image:
        return np.asarray(image).astype(int)


def test_planes_lie_radiologically(scan: tuple[Volume, Volume]) -> None:
    coronal, axial, sagittal = cuts(*scan)
    assert [cut.hu.shape for cut in (coronal, axial, sagittal)] == [(30, 40), (20, 40), (30, 20)]
    assert [cut.pixel_mm for cut in (coronal, axial, sagittal)] == [(4.0, 1.0), (2.0, 1.0), (4.0, 2.0)]
    for cut in (coronal, axial, sagittal):  # superior on top, anterior on top or left, the patient's right on the left
        assert cut.hu[0, 0] == 1000
        assert (cut.hu[-1, 0], cut.hu[0, -1]) == (-1000, -1000)
        assert np.count_nonzero(cut.labels == 2) == 1  # the cut goes through the labels' centre


def test_colours_and_grey(scan: tuple[Volume, Volume]) -> None:
    image = picture(*scan)
    assert image.shape == (480, 160 + 8 + 480 + 8 + 160, 3)  # 120 x 40 mm, 40 x 40 mm, 120 x 40 mm
    coronal = image[:, :160]
    bright, air, liver = coronal[2, 2], coronal[-2, -2], coronal[480 * 5 // 30, 160 * 4 // 40]
    assert (bright.tolist(), air.tolist()) == ([255, 255, 255], [0, 0, 0])
    assert liver.tolist() == [255, 140, 140]  # white under 45 % of red


def test_any_orientation_gives_the_same_picture(scan: tuple[Volume, Volume]) -> None:
    wanted = picture(*scan)
    for order in itertools.permutations(("SI", "PA", "LR")):
        for letters in itertools.product(*order):
            turn = Reorientation.to(GRID, "".join(letters))
            ct, labels = (Volume(np.ascontiguousarray(turn.apply(v.array)), turn.grid(GRID)) for v in scan)
            np.testing.assert_array_equal(picture(ct, labels), wanted, err_msg="".join(letters))


def test_a_scan_on_disk_gives_the_same_picture(scan: tuple[Volume, Volume]) -> None:
    ct, labels = scan
    on_disk = DiskArray(GRID.shape_zyx, ct.array.dtype, [(0, ct.array)])
    spooled = Volume(on_disk, GRID, on_disk.measured)
    np.testing.assert_array_equal(picture(spooled, labels), picture(ct, labels))


def test_flat_scans_and_no_labels_still_give_a_picture() -> None:
    for shape in ((1, 50, 50), (3, 1, 200)):
        grid = Grid(shape, (5.0, 0.7, 0.7))
        ct, labels = Volume(np.zeros(shape, np.int16), grid), Volume(np.zeros(shape, np.uint8), grid)
        height, width, _ = picture(ct, labels).shape
        assert height == 480
        assert width <= 3 * 720 + 16


def test_labels_of_another_scan_are_refused(scan: tuple[Volume, Volume]) -> None:
    ct, labels = scan
    with pytest.raises(InputError, match="preview: got labels of shape"):
        preview_png(Volume(ct.array[1:], Grid((29, 20, 40), GRID.spacing_mm)), labels, COLOURS)


def test_the_strip_runs_from_head_to_foot_and_holds_the_wanted_slices(scan: tuple[Volume, Volume]) -> None:
    strip = slice_strip(*scan, COLOURS, (24, 26))
    assert [one.index for one in strip] == [29, 26, 25, 24, 21, 17, 12, 8, 4, 0]
    assert {one.index: one.values for one in strip if one.values} == {26: (1,), 25: (1,), 24: (1, 2)}
    assert {one.image.shape for one in strip} == {(256, 256, 3)}  # 40 x 40 mm


def test_only_outlines_are_coloured(scan: tuple[Volume, Volume]) -> None:
    (image,) = (one.image for one in slice_strip(*scan, COLOURS, (24,)) if one.index == 24)
    red, green = ((image == colour).all(axis=2) for colour in ((255, 0, 0), (0, 255, 128)))
    rows, columns = np.nonzero(red)
    low, high = ((2 * 2, 3), (5 * 2, 8))  # mm of the liver's box: rows, columns
    np.testing.assert_allclose(
        [(rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1)], np.array((low, high)) * 6.4, atol=1
    )
    assert green.sum() > 10
    assert image[int(9 * 6.4), int(7 * 6.4)].tolist() == [255, 255, 255]  # inside the liver the CT is as it was


@pytest.mark.parametrize(("letters", "index"), [("IPL", 5), ("LAS", 24), ("PIR", 5)])
def test_any_orientation_gives_the_same_slice(scan: tuple[Volume, Volume], letters: str, index: int) -> None:
    (wanted,) = (one.image for one in slice_strip(*scan, COLOURS, (24,)) if one.index == 24)
    turn = Reorientation.to(GRID, letters)
    ct, labels = (Volume(np.ascontiguousarray(turn.apply(v.array)), turn.grid(GRID)) for v in scan)
    strip = slice_strip(ct, labels, COLOURS, (index,))
    order = [one.index for one in strip]
    assert order == sorted(order, reverse="S" in letters)
    (found,) = (one.image for one in strip if one.index == index)
    np.testing.assert_array_equal(found, wanted)


def test_a_pixel_with_another_label_or_the_edge_beside_it_is_an_outline() -> None:
    labels = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [2, 2, 1, 0]], np.uint8)
    assert outlined(labels).astype(int).tolist() == [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
