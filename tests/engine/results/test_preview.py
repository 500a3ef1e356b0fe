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
from flare_trt.engine.results.preview import cuts, preview_png
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
