"""From the coarse labels' pieces to the box in which the fine network looks, with guards, and a fallback that the report names.

Paper, section 2.2: the box of the coarse foreground, 20 mm larger on every side. The guards are ours: a box that looks wrong
is enlarged, one that cannot be trusted gives way to the whole scan, and the story says which.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flare_trt.engine.base.grid import WORLD_AXIS, Grid
from flare_trt.engine.base.organs import CORE_ORGANS, MAX_EXTENT_MM, REACH_MM, canonical
from flare_trt.engine.base.run_report import RoiStory
from flare_trt.engine.model.spec import RoiSpec
from flare_trt.engine.roi.coarse_pieces import Piece, Sorted
from flare_trt.kernels import Box

#: What an enlargement adds to a side.
ENLARGE_MM = 40.0
#: How far a slab that enlarges a box reaches back into it.
OVERLAP_MM = 20.0

#: Share of an organ's least volume that a scan shows of it where the scan's edge cuts it.
CUT_SHARE = 0.25


@dataclass(frozen=True)
class Located:
    """`box` is in source voxels, or None where no abdomen was found."""

    box: Box | None
    story: RoiStory


def locate(found: Sorted, expected: Collection[str], scan: Grid, roi: RoiSpec) -> Located:
    """Decide the ROI. Pieces' boxes are in source voxels; `expected` are the coarse stage's label names."""
    pieces, names = found.kept, {canonical(name) for name in expected}
    if not _shows_abdomen(pieces, names, scan):
        seen = _seen_instead(pieces) if pieces or names & CORE_ORGANS.keys() else f"nothing found of {', '.join(expected)}"
        return Located(None, _story("empty", None, scan, (seen,), (), found))
    tight = _hull(pieces)
    box = scan.grown(tight, roi.margin_low_mm, roi.margin_high_mm)
    missing = tuple(name for name in map(canonical, expected) if name not in {canonical(p.name) for p in pieces})
    doubts = tuple(f"{name} was not found" for name in missing if name in CORE_ORGANS) + _odd_volumes(pieces, scan)
    alarms = _odd_extents(tight, scan) + _upside_down(pieces, scan)
    if alarms:
        return Located(scan.whole, _story("whole", scan.whole, scan, alarms + doubts + _mirrored(pieces, scan), missing, found))
    if doubts:
        box = enlarged(box, scan)
    decision = "enlarged" if doubts else "roi"
    return Located(box, _story(decision, box, scan, doubts + _mirrored(pieces, scan), missing, found))


def enlarged(box: Box, scan: Grid) -> Box:
    """The box, ENLARGE_MM larger on every side, cut to the scan."""
    sides = (ENLARGE_MM, ENLARGE_MM, ENLARGE_MM)
    return scan.grown(box, sides, sides)


def extended(box: Box, scan: Grid, side: str) -> tuple[Box, Box]:
    """The slab that an enlargement on one side (S, I, P, ...) adds, and the enlarged box.

    The slab reaches OVERLAP_MM back into the box, where the network saw too little beyond the face.
    """
    axis = scan.axis_along(side)
    mm, size, (start, stop) = scan.spacing_mm[axis], scan.shape_zyx[axis], box.ranges[axis]
    more, back = int(np.ceil(ENLARGE_MM / mm)), int(np.ceil(OVERLAP_MM / mm))
    if scan.orientation[axis] == side:
        end = min(size, stop + more)
        return box.along(axis, max(start, stop - back), end), box.along(axis, start, end)
    end = max(0, start - more)
    return box.along(axis, end, min(stop, start + back)), box.along(axis, end, stop)


def retold(story: RoiStory, decision: str, box: Box, scan: Grid) -> RoiStory:
    """The story after the box was changed."""
    share = float(np.prod(box.shape_zyx) / np.prod(scan.shape_zyx))
    return replace(
        story,
        decision=decision,
        start_zyx=box.start_zyx,
        stop_zyx=box.stop_zyx,
        share_of_scan=round(share, 4),
        touches_edge=scan.edges_touched(box),
    )


def _story(
    decision: str,
    box: Box | None,
    scan: Grid,
    findings: tuple[str, ...],
    missing: tuple[str, ...],
    found: Sorted,
) -> RoiStory:
    story = RoiStory(decision, (0, 0, 0), (0, 0, 0), 0.0, findings, missing, found.strays, found.specks)
    return retold(story, decision, box, scan) if box else story


def _shows_abdomen(pieces: Sequence[Piece], expected: Collection[str], scan: Grid) -> bool:
    """Whether a core organ has a plausible volume, or there is anything at all where the network knows no core organ.

    A scan that ends in a solid organ shows a part of it; vessels end anywhere.
    """
    known = {name: limits for name, limits in CORE_ORGANS.items() if name in expected}
    for name, limits in known.items():
        mine = [piece for piece in pieces if canonical(piece.name) == name]
        cut = name not in REACH_MM and any(scan.edges_touched(piece.box) for piece in mine)
        if mine and sum(piece.volume_ml for piece in mine) >= limits.low_ml * (CUT_SHARE if cut else 1):
            return True
    return bool(pieces) and not known


def _seen_instead(pieces: Sequence[Piece]) -> str:
    seen = ", ".join(f"{piece.volume_ml:.1f} ml of {piece.name}" for piece in pieces)
    return f"no abdomen found: the coarse network sees {seen or 'no abdominal organ'}" + (", too little of each" if seen else "")


def _hull(pieces: Sequence[Piece]) -> Box:
    return pieces[0].box.hull(*(piece.box for piece in pieces[1:]))


def _odd_volumes(pieces: Sequence[Piece], scan: Grid) -> tuple[str, ...]:
    """Organs of an implausible volume; one that the scan's edge cuts may be of any size."""
    findings = []
    for name, limits in CORE_ORGANS.items():
        mine = [piece for piece in pieces if canonical(piece.name) == name]
        volume = sum(piece.volume_ml for piece in mine)
        cut = mine and bool(scan.edges_touched(_hull(mine)))
        if mine and (volume > limits.high_ml or (volume < limits.low_ml and not cut)):
            findings.append(f"{name} has {volume:.0f} ml, expected {limits.low_ml:g} to {limits.high_ml:g} ml")
    return tuple(findings)


def _odd_extents(box: Box, scan: Grid) -> tuple[str, ...]:
    findings = []
    for axis, letter in enumerate(scan.orientation):
        extent, limit = box.shape_zyx[axis] * scan.spacing_mm[axis], MAX_EXTENT_MM[WORLD_AXIS[letter]]
        if extent > limit:
            findings.append(f"the organs span {extent:.0f} mm along {letter}, expected at most {limit:g} mm")
    return tuple(findings)


def _upside_down(pieces: Sequence[Piece], scan: Grid) -> tuple[str, ...]:
    """The liver's centre lies above the kidneys' in a body that is the right way up."""
    liver, kidneys = _centre_along("S", ["liver"], pieces, scan), _centre_along("S", ["right kidney", "left kidney"], pieces, scan)
    if liver is None or kidneys is None or liver >= kidneys - 20:
        return ()
    return (f"the liver lies {kidneys - liver:.0f} mm below the kidneys: the scan may be stored upside down",)


def _mirrored(pieces: Sequence[Piece], scan: Grid) -> tuple[str, ...]:
    """The liver lies to the right of the spleen, but for situs inversus or a scan whose header swaps left and right."""
    liver, spleen = _centre_along("L", ["liver"], pieces, scan), _centre_along("L", ["spleen"], pieces, scan)
    if liver is None or spleen is None or liver <= spleen:
        return ()
    return ("the liver lies left of the spleen: situs inversus, or left and right are swapped in the header; check paired organs",)


def _centre_along(letter: str, names: Sequence[str], pieces: Sequence[Piece], scan: Grid) -> float | None:
    """Volume-weighted centre of organs along a world direction in mm (from an arbitrary origin), or None if unseen."""
    axis = scan.axis_along(letter)
    sign = 1 if scan.orientation[axis] == letter else -1
    mine = [piece for piece in pieces if canonical(piece.name) in names]
    if not mine:
        return None
    centres = [(p.box.start_zyx[axis] + p.box.stop_zyx[axis]) / 2 * scan.spacing_mm[axis] for p in mine]
    return sign * float(np.average(centres, weights=[p.volume_ml for p in mine]))
