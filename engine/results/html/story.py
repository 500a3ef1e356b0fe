"""Where the network looked, in words."""

from __future__ import annotations

from collections.abc import Sequence

from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.run_report import DroppedComponent, RoiStory

WORLD = {"S": "superior", "I": "inferior", "A": "anterior", "P": "posterior", "L": "left", "R": "right"}

_DECISIONS = {
    "roi": "The coarse network found the abdomen, and the fine network looked only there.",
    "enlarged": "The first box looked doubtful or cut an organ, so it was made larger.",
    "whole": "The box could not be trusted, so the fine network looked at the whole scan.",
    "empty": "The coarse network found no abdomen, so nothing was segmented.",
}


def roi_sentences(roi: RoiStory | None, spacing_mm: Vector, orientation: str) -> tuple[str, ...]:
    """The story, a sentence an entry. Spacing and orientation are the scan's, in the order of its axes (z, y, x)."""
    if roi is None:
        return ("The model has one network, which looked at the scan itself; no region was chosen first.",)
    sentences = [_DECISIONS[roi.decision]]
    if roi.decision in ("roi", "enlarged"):
        z_mm, y_mm, x_mm = (mm * (stop - start) for mm, start, stop in zip(spacing_mm, roi.start_zyx, roi.stop_zyx, strict=True))
        axial = patient_axes(orientation)[0]
        slices = f"axial slices {roi.start_zyx[axial] + 1} to {roi.stop_zyx[axial]}"
        size = f"{sizes_mm((z_mm, y_mm, x_mm), orientation)} mm (head to foot × front to back × side to side)"
        sentences.append(f"The box is {roi.share_of_scan:.1%} of the scan: {size}, {slices}.")
    if roi.touches_edge:
        sentences.append(f"It reaches the scan's {listed([WORLD[side] for side in roi.touches_edge])} edge.")
    if roi.missing:
        sentences.append(f"The coarse network did not find: {listed(roi.missing)}.")
    sentences += [f"Finding: {finding}." for finding in roi.findings]
    sentences += [_dropped(component) for component in roi.dropped]
    if roi.specks:
        sentences.append(f"Specks left out as noise: {roi.specks}.")
    return tuple(sentences)


def patient_axes(orientation: str) -> tuple[int, int, int]:
    """The array axes that run from head to foot, from front to back and from side to side, either way.

    >>> patient_axes("SPL"), patient_axes("LIA")
    ((0, 1, 2), (1, 2, 0))
    """
    axial, frontal, lateral = (next(at for at, letter in enumerate(orientation) if letter in pair) for pair in ("SI", "AP", "LR"))
    return axial, frontal, lateral


def sizes_mm(extent_mm: Vector, orientation: str) -> str:
    """Sizes along the array's axes in the patient's order: head to foot, front to back, side to side.

    >>> sizes_mm((10.2, 20, 30), "LIA")
    '20 × 30 × 10'
    """
    return " × ".join(f"{extent_mm[axis]:.0f}" for axis in patient_axes(orientation))


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["left", "right", "superior"]), listed(["left"])
    ('left, right and superior', 'left')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def _dropped(component: DroppedComponent) -> str:
    where = f"{component.volume_ml:g} ml of {component.label}, {component.distance_mm:g} mm away"
    return f"A stray piece was left out of the box: {where} ({component.reason})."
