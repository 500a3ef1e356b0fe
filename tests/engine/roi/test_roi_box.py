"""The ROI on planted coarse labels: strays, missing organs, mirrored and upside-down bodies, slabs, scans without an abdomen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.organs import CORE_ORGANS
from flare_trt.engine.model.spec import FLARE_LABELS, RoiSpec
from flare_trt.engine.roi.coarse_pieces import find_pieces, keep_abdomen
from flare_trt.engine.roi.roi_box import Located, enlarged, locate
from flare_trt.kernels import Box, load, native_problem

KERNELS = load("reference" if native_problem() else "native")
NAMES = {label.value: label.name for label in FLARE_LABELS}
EXPECTED = ("liver", "spleen", "right kidney", "left kidney", "stomach", "pancreas", "aorta")
MM = (4.0, 3.0, 3.5)

#: Organ -> centre and radii in mm, (z up from the feet, y to the back, x to the left), of a body 420 x 400 mm wide.
BODY = {
    "liver": ((1150, 180, 120), (80, 70, 75)),
    "spleen": ((1150, 240, 330), (50, 35, 30)),
    "right kidney": ((1050, 260, 150), (50, 28, 28)),
    "left kidney": ((1060, 260, 290), (50, 28, 28)),
    "stomach": ((1140, 150, 280), (50, 45, 45)),
    "pancreas": ((1090, 180, 220), (20, 22, 60)),
    "aorta": ((1100, 230, 215), (170, 12, 12)),
}


@dataclass
class Scan:
    """A whole body of coarse labels on the FLARE values, z from feet to head."""

    shape: tuple[int, int, int] = (440, 134, 120)
    organs: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = field(default_factory=lambda: dict(BODY))
    direction: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

    def labels(self) -> np.ndarray:
        values = {name: value for value, name in NAMES.items()}
        result = np.zeros(self.shape, np.uint8)
        axes = np.ogrid[tuple(slice(0, n) for n in self.shape)]
        for name, (centre, radii) in self.organs.items():
            ball = sum(((axis * mm - c) / r) ** 2 for axis, mm, c, r in zip(axes, MM, centre, radii, strict=True))
            result[ball <= 1] = values[name]
        return result

    def grid(self) -> Grid:
        return Grid(self.shape, MM, direction=self.direction)  # type: ignore[arg-type]


def located(labels: np.ndarray, grid: Grid, roi: RoiSpec | None = None) -> Located:
    pieces = find_pieces(labels, KERNELS.components(labels), NAMES, grid.spacing_mm)
    return locate(keep_abdomen(pieces, grid.spacing_mm), EXPECTED, grid, roi or RoiSpec())


def tight_box(labels: np.ndarray) -> Box:
    row = KERNELS.bounds((labels > 0).astype(np.uint8), 2)[1]
    return Box(tuple(int(v) for v in row[:3]), tuple(int(v) for v in row[3:6]))  # type: ignore[arg-type]


def covers(outer: Box, inner: Box) -> bool:
    return all(a <= b for a, b in zip(outer.start_zyx, inner.start_zyx, strict=True)) and all(
        a >= b for a, b in zip(outer.stop_zyx, inner.stop_zyx, strict=True)
    )


def test_a_plain_body_gets_the_box_and_20_mm() -> None:
    scan = Scan()
    found = located(scan.labels(), scan.grid())
    assert found.story.decision == "roi"
    assert found.story.findings == ()
    assert found.box == scan.grid().grown(tight_box(scan.labels()), (20, 20, 20), (20, 20, 20))
    assert found.story.share_of_scan < 0.25


def test_stray_blobs_do_not_blow_the_box_up() -> None:
    """The paper's case 0063: coarse voxels in the head and in the legs."""
    scan = Scan()
    clean = located(scan.labels(), scan.grid())
    labels = scan.labels()
    labels[425:437, 60:74, 50:64] = 1  # a "liver" of 99 ml in the head
    labels[10:30, 40:60, 30:50] = 3  # a "spleen" in the thigh
    labels[40, 60, 60] = 9  # a speck
    found = located(labels, scan.grid())
    assert found.box == clean.box
    assert {stray.label for stray in found.story.dropped} == {"liver", "spleen"}
    assert all(stray.distance_mm > 120 for stray in found.story.dropped)
    assert found.story.specks == 1


def test_a_stray_larger_than_the_organ_itself_is_still_a_stray() -> None:
    scan = Scan()
    labels = scan.labels()
    labels[labels == 3] = 0
    labels[10:60, 40:90, 30:80] = 3  # the only "spleen" is a large blob in the thigh
    found = located(labels, scan.grid())
    assert found.box is not None
    assert found.box.start_zyx[0] > 150
    assert found.story.decision == "enlarged"
    assert "spleen was not found" in found.story.findings


def test_a_missing_core_organ_enlarges_the_box_once() -> None:
    scan = Scan()
    del scan.organs["left kidney"]
    found = located(scan.labels(), scan.grid())
    assert found.story.decision == "enlarged"
    assert found.story.missing == ("left kidney",)
    plain = scan.grid().grown(tight_box(scan.labels()), (20, 20, 20), (20, 20, 20))
    assert found.box == enlarged(plain, scan.grid())


def test_an_implausible_volume_enlarges_the_box() -> None:
    scan = Scan()
    scan.organs["liver"] = ((1150, 180, 120), (20, 20, 20))
    found = located(scan.labels(), scan.grid())
    assert found.story.decision == "enlarged"
    assert any("liver has" in finding for finding in found.story.findings)


def test_situs_inversus_is_told_and_covered() -> None:
    scan = Scan()
    scan.organs = {name: ((z, y, 420 - x), radii) for name, ((z, y, x), radii) in BODY.items()}
    found = located(scan.labels(), scan.grid())
    assert any("situs inversus" in finding for finding in found.story.findings)
    assert found.story.decision == "roi"
    assert found.box is not None
    assert covers(found.box, tight_box(scan.labels()))


def test_upside_down_takes_the_whole_scan() -> None:
    """The voxels lie head first but the header says feet first: nothing that is seen can be trusted."""
    scan = Scan()
    labels = np.ascontiguousarray(scan.labels()[::-1])
    found = located(labels, scan.grid())
    assert found.story.decision == "whole"
    assert found.box == scan.grid().whole
    assert any("upside down" in finding for finding in found.story.findings)


def test_a_scan_stored_head_first_with_a_true_header_is_fine() -> None:
    scan = Scan(direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)))
    found = located(np.ascontiguousarray(Scan().labels()[::-1]), scan.grid())
    assert found.story.decision == "roi"


def test_arms_down_and_a_table_do_not_matter() -> None:
    """Bright strips beside the body that the coarse net takes for vessels are thin, long and far."""
    scan = Scan()
    labels = scan.labels()
    labels[100:200, 100:104, 2:6] = 5  # an "aorta" in a forearm beside the thigh
    found = located(labels, scan.grid())
    assert found.box == located(scan.labels(), scan.grid()).box


def test_no_abdomen_is_said_and_gives_no_box() -> None:
    scan = Scan(organs={})
    found = located(scan.labels(), scan.grid())
    assert found.box is None
    assert found.story.decision == "empty"
    assert "no abdominal organ" in found.story.findings[0]


def test_too_little_of_every_organ_is_no_abdomen() -> None:
    """What a coarse network sees in a head: a blob of liver, the end of a vessel that the scan's edge cuts."""
    head = Scan(shape=(60, 134, 120), organs={"liver": ((120, 180, 120), (30, 28, 26)), "aorta": ((0, 230, 215), (30, 9, 9))})
    found = located(head.labels(), head.grid())
    assert found.box is None
    assert found.story.decision == "empty"
    (finding,) = found.story.findings
    assert finding.startswith("no abdomen found: the coarse network sees ")
    assert "ml of liver" in finding
    assert "ml of aorta" in finding
    assert finding.endswith(", too little of each")


def test_a_scan_that_ends_in_an_organ_is_looked_at() -> None:
    """A quarter of an organ's least volume is enough where the scan's edge cuts it."""
    tip = Scan(shape=(60, 134, 120), organs={"liver": ((230, 180, 120), (40, 32, 32))})
    volume = float((tip.labels() == 1).sum()) * tip.grid().voxel_ml
    assert CORE_ORGANS["liver"].low_ml / 4 < volume < CORE_ORGANS["liver"].low_ml
    found = located(tip.labels(), tip.grid())
    assert found.box is not None
    inside = Scan(shape=(80, 134, 120), organs=tip.organs)
    assert float((inside.labels() == 1).sum()) * inside.grid().voxel_ml < CORE_ORGANS["liver"].low_ml
    assert located(inside.labels(), inside.grid()).box is None, "the same tip, not cut"


def test_a_network_without_core_organs_is_not_judged_by_them() -> None:
    head = Scan(shape=(60, 134, 120), organs={"duodenum": ((120, 180, 120), (30, 28, 26))})
    labels, grid = head.labels(), head.grid()
    pieces = keep_abdomen(find_pieces(labels, KERNELS.components(labels), NAMES, grid.spacing_mm), grid.spacing_mm)
    assert locate(pieces, EXPECTED, grid, RoiSpec()).box is None
    assert locate(pieces, ("duodenum",), grid, RoiSpec()).story.decision == "roi"


def test_a_slab_of_20_slices_is_no_alarm() -> None:
    labels = np.ascontiguousarray(Scan().labels()[262:282])
    grid = Grid((20, 134, 120), MM)
    found = located(labels, grid)
    assert found.box is not None
    assert (found.box.start_zyx[0], found.box.stop_zyx[0]) == (0, 20)
    assert {"S", "I"} <= set(found.story.touches_edge)
    assert not any("has" in finding for finding in found.story.findings)


def test_impossible_extents_take_the_whole_scan() -> None:
    scan = Scan()
    scan.organs["aorta"] = ((900, 230, 215), (800, 12, 12))
    found = located(scan.labels(), scan.grid())
    assert found.story.decision == "whole"
    assert any("span" in finding for finding in found.story.findings)


@pytest.mark.parametrize(("letter", "axis", "side"), [("S", 0, "stop"), ("I", 0, "start"), ("L", 2, "stop"), ("A", 1, "start")])
def test_margins_are_set_side_by_side(letter: str, axis: int, side: str) -> None:
    scan = Scan()
    base = scan.grid().grown(tight_box(scan.labels()), (20, 20, 20), (20, 20, 20))
    low, high = [20.0, 20.0, 20.0], [20.0, 20.0, 20.0]
    (high if side == "stop" else low)[axis] = 30.0
    box = located(scan.labels(), scan.grid(), RoiSpec(tuple(low), tuple(high))).box  # type: ignore[arg-type]
    assert box is not None
    moved = np.subtract(box.start_zyx + box.stop_zyx, base.start_zyx + base.stop_zyx)
    assert np.flatnonzero(moved).tolist() == [axis if side == "start" else axis + 3]
    assert letter not in scan.grid().edges_touched(box)
