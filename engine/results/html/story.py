"""Where the network looked, in words."""

from __future__ import annotations

from collections.abc import Sequence

from flare_trt.engine.base.run_report import DroppedComponent, RoiStory

WORLD = {"S": "superior", "I": "inferior", "A": "anterior", "P": "posterior", "L": "left", "R": "right"}

_DECISIONS = {
    "roi": "The coarse network found the abdomen, and the fine network looked only there.",
    "enlarged": "The first box looked doubtful or cut an organ, so it was made larger.",
    "whole": "The box could not be trusted, so the fine network looked at the whole scan.",
    "empty": "The coarse network found no abdomen, so nothing was segmented.",
}


def roi_sentences(roi: RoiStory | None) -> tuple[str, ...]:
    """The story, a sentence an entry."""
    if roi is None:
        return ("The model has one network, which looked at the scan itself; no region was chosen first.",)
    sentences = [_DECISIONS[roi.decision]]
    if roi.decision in ("roi", "enlarged"):
        sides = [f"{low} to {high - 1}" for low, high in zip(roi.start_zyx, roi.stop_zyx, strict=True)]
        sentences.append(f"The box is {roi.share_of_scan:.1%} of the scan: voxels {' by '.join(sides)} (z by y by x).")
    if roi.touches_edge:
        sentences.append(f"It reaches the scan's {listed([WORLD[side] for side in roi.touches_edge])} edge.")
    if roi.missing:
        sentences.append(f"The coarse network did not find: {listed(roi.missing)}.")
    sentences += [f"Finding: {finding}." for finding in roi.findings]
    sentences += [_dropped(component) for component in roi.dropped]
    if roi.specks:
        sentences.append(f"Specks left out as noise: {roi.specks}.")
    return tuple(sentences)


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["left", "right", "superior"]), listed(["left"])
    ('left, right and superior', 'left')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def _dropped(component: DroppedComponent) -> str:
    where = f"{component.volume_ml:g} ml of {component.label}, {component.distance_mm:g} mm away"
    return f"A stray piece was left out of the box: {where} ({component.reason})."
