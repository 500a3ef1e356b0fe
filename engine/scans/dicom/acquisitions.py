"""Acquisitions (phases) in one series, whose slices lie between each other's: kept apart and chosen, never woven into one volume.

A series may hold several acquisitions (PS3.3, A.1.2.4). Where each fills a stretch of z of its own, as the rotations of a
step-and-shoot scan do, they make one volume; where they lie in the same stretch they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.plane import Plane

#: Slices of one acquisition follow each other faster than this, and phases slower.
_PAUSE_S = 2.0
#: Share of neighbours that must be of different times: times jitter, and alternate throughout where slices are woven.
_ALTERNATING = 0.8
#: Distance of neighbours over that of next-but-one slices; 0.6 to 0.8 in real scans, over 1 where two are woven. Likewise of three.
_LEAST_WOVEN = 1.25
_LEAST_SLICES, _STRETCHES, _STRIDE = 8, 9, 4
#: So many acquisitions are looked for by their values alone.
_PERIODS = (2, 3)


@dataclass(frozen=True)
class Acquisition:
    """The planes of one of several acquisitions, and the number to choose it by."""

    number: int
    planes: tuple[Plane, ...]
    begins_s: float | None = None


def choose_acquisition(
    planes: Sequence[Plane], wanted: int | None, by_values: Callable[[], tuple[Acquisition, ...]]
) -> tuple[Plane, ...]:
    """The planes of one acquisition, all where there is no more than one; `by_values` looks where the headers say nothing.

    Raises InputError, without the series' name, listing the acquisitions.
    """
    found = woven(planes)
    if wanted is None:
        if found:
            raise InputError(several(found))
        return tuple(planes)
    found = found or numbered(planes) or by_values()
    if not found:
        raise InputError(
            "--acquisition: the headers number no acquisitions in this series, and its slices do not alternate; leave it out"
        )
    for one in found:
        if one.number == wanted:
            return one.planes
    raise InputError(f"got no acquisition {wanted} in the series; choose one of these with --acquisition N:\n{_listed(found)}")


def several(found: Sequence[Acquisition]) -> str:
    """What is said of a series with several acquisitions."""
    return (
        f"got {len(found)} acquisitions (phases) in one series whose slices lie between each other's, expected one; choose it with "
        f"--acquisition N:\n{_listed(found)}"
    )


def woven(planes: Sequence[Plane]) -> tuple[Acquisition, ...]:
    """The acquisitions where slices of one lie between those of another, by the first thing that tells them apart; else none."""
    if len(planes) < 2:
        return ()
    along = _along(planes)
    keys: list[Callable[[Plane], Hashable]] = [lambda plane: plane.acquired.number]
    keys += [lambda plane, at=at: plane.acquired.traits[at] for at in range(len(planes[0].acquired.traits))]  # type: ignore[misc]
    for key in keys:
        labels = [key(plane) for plane in planes]
        if all(labels) and _overlap(along, labels):  # where some say nothing, nothing follows
            return _parted(planes, labels)
    for times in ([plane.acquired.acquired_s for plane in planes], [plane.acquired.content_s for plane in planes]):
        clusters = _clusters(times)
        if clusters is not None and _overlap(along, clusters) and _alternate(along, clusters):
            return _parted(planes, clusters)
    return ()


def numbered(planes: Sequence[Plane]) -> tuple[Acquisition, ...]:
    """The acquisitions by their numbers, woven or not."""
    labels = [plane.acquired.number for plane in planes]
    return _parted(planes, labels) if any(labels) else ()


class Alternation:
    """Looks on while planes go by in z order: whether slices are more like the second or third next than like those between."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        enough = len(planes) >= _LEAST_SLICES
        self._planes = planes
        self.stretch = max(_PERIODS) + 1
        self.starts = {int(z) for z in np.linspace(0, len(planes) - self.stretch, _STRETCHES)} if enough else set()
        self._last: list[NDArray[Any]] = []
        self._ratios: dict[int, list[float]] = {period: [] for period in _PERIODS}

    def see(self, z: int, hu: NDArray[Any]) -> None:
        """Plane `z` (y, x), which follows the one seen before it, or begins a stretch."""
        self._last = [*self._last[1 - self.stretch :], hu[::_STRIDE, ::_STRIDE].clip(-1000, 1000).astype(np.float32)]
        if z + 1 - self.stretch in self.starts:
            for period, ratios in self._ratios.items():
                first, *between, last = self._last[: period + 1]
                apart = np.abs(last - first).mean()
                nearest = min(np.abs(one - end).mean() for one in between for end in (first, last))
                ratios.append(nearest / apart if apart else 0.0)

    def found(self) -> tuple[Acquisition, ...]:
        """Every second or third slice, where they take turns; else none."""
        for period, ratios in self._ratios.items():
            if ratios and np.median(ratios) >= _LEAST_WOVEN:
                return tuple(Acquisition(at + 1, tuple(self._planes[at::period])) for at in range(period))
        return ()


def alternating(planes: Sequence[Plane], picture: Callable[[Plane], NDArray[Any]]) -> tuple[Acquisition, ...]:
    """Every second or third of planes in z order, where they take turns; `picture` gives HU, and is asked for a few of them."""
    looks_on = Alternation(planes)
    for start in sorted(looks_on.starts):
        for z in range(start, start + looks_on.stretch):
            looks_on.see(z, picture(planes[z]))
    return looks_on.found()


def _along(planes: Sequence[Plane]) -> NDArray[np.float64]:
    normal = np.cross(planes[0].cosines[:3], planes[0].cosines[3:])
    return np.asarray(np.array([plane.position_mm for plane in planes]) @ normal)


def _overlap(along: NDArray[np.float64], labels: Sequence[Hashable]) -> bool:
    """Whether the stretches of z of two groups overlap; a group of one slice is a slip of its header, not an acquisition."""
    groups: dict[Hashable, list[float]] = {}
    for place, label in zip(along.tolist(), labels, strict=True):
        groups.setdefault(label, []).append(place)
    ranges = sorted((min(places), max(places)) for places in groups.values() if len(places) > 1)
    return any(begin <= end for (_, end), (begin, _) in pairwise(ranges))


def _alternate(along: NDArray[np.float64], labels: Sequence[Hashable]) -> bool:
    """Whether nearly all neighbours along z differ, or slices lie at one place."""
    order = np.argsort(along, kind="stable")
    if (np.diff(along[order]) < 1e-3).any():
        return True
    changes = sum(labels[one] != labels[two] for one, two in pairwise(order.tolist()))
    return bool(changes >= _ALTERNATING * (len(labels) - 1))


def _clusters(times_s: Sequence[float | None]) -> list[int] | None:
    """A number for each time: of the stretch without a pause that it lies in, or of its value where no pause parts them."""
    if any(time is None for time in times_s):
        return None
    values = np.array(times_s, float)
    ordered = np.sort(values)
    gaps = np.diff(ordered)
    starts = ordered[1:][gaps > max(_PAUSE_S, 4 * float(np.median(gaps)))]
    distinct = np.unique(values)
    if not len(starts) and len(distinct) * 3 <= len(values):
        starts = distinct[1:]
    return [int(number) for number in np.searchsorted(starts, values, side="right")]


def _parted(planes: Sequence[Plane], labels: Sequence[Any]) -> tuple[Acquisition, ...]:
    """Numbered as the headers do where all have a number of their own, else from 1 by time, then by label."""
    groups: dict[Any, list[Plane]] = {}
    for plane, label in zip(planes, labels, strict=True):
        groups.setdefault(label, []).append(plane)
    begins = {label: _begin(group) for label, group in groups.items()}
    if all(plane.acquired.number == label and label.isdecimal() for plane, label in zip(planes, labels, strict=True)):
        order = sorted(groups, key=int)
        numbers = [int(label) for label in order]
    else:
        order = sorted(groups, key=lambda label: (begins[label] or 0.0, str(label)))
        numbers = list(range(1, len(order) + 1))
    return tuple(Acquisition(number, tuple(groups[label]), begins[label]) for number, label in zip(numbers, order, strict=True))


def _begin(planes: Sequence[Plane]) -> float | None:
    return min((plane.acquired.acquired_s for plane in planes if plane.acquired.acquired_s is not None), default=None)


def _listed(found: Sequence[Acquisition]) -> str:
    known = [one.begins_s for one in found if one.begins_s is not None]
    lines = []
    for one in found:
        along = np.sort(_along(one.planes))
        gap = f", {float(np.median(np.diff(along))):.4g} mm apart" if len(along) > 1 else ""
        after = "" if one.begins_s is None else f", {one.begins_s - min(known):.1f} s after the first"
        lines.append(f"  {one.number}: {len(along)} slices{gap}, z from {along[0]:.4g} to {along[-1]:.4g} mm{after}")
    return "\n".join(lines)
