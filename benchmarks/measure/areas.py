"""The area under a memory curve, three ways, and what of it lies above FLARE's tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: FLARE23 leaves memory up to 4 GB uncounted.
TOLERANCE_MB = 4096.0


@dataclass(frozen=True)
class Areas:
    """A curve's peak in MB, areas in MB s (MB = 2^20 bytes), and its excess over the tolerance.

    `official` is FLARE's sum of samples times the nominal interval, which counts too little where a reading takes long;
    `true` is the trapezoid over the real time stamps; `above_baseline` the same over what was in use before the start.
    `complete` is False where the curve ends before the run does.
    """

    peak_mb: float
    official_mb_s: float
    true_mb_s: float
    above_baseline_mb_s: float
    above_tolerance_mb: float
    above_tolerance_mb_s: float
    complete: bool


@dataclass(frozen=True)
class Curve:
    """Values at times of one run of `wall_s`; a None value was not read. `until_s` is where reading failed for good."""

    times_s: Sequence[float]
    values_mb: Sequence[float | None]
    wall_s: float
    interval_s: float
    baseline_mb: float | None = None
    until_s: float | None = None


def areas(curve: Curve) -> Areas | None:
    """None where nothing was read. Between readings the curve is a straight line, before the first and after the last flat."""
    points = _readings(curve)
    if not points:
        return None
    end_s = curve.wall_s if curve.until_s is None else min(curve.until_s, curve.wall_s)
    values = [value for _, value in points]
    floor = curve.baseline_mb or 0.0
    return Areas(
        peak_mb=max(values),
        official_mb_s=sum(values) * curve.interval_s,
        true_mb_s=_area_above(points, 0.0, end_s),
        above_baseline_mb_s=_area_above(points, floor, end_s),
        above_tolerance_mb=max(0.0, max(values) - TOLERANCE_MB),
        above_tolerance_mb_s=_area_above(points, TOLERANCE_MB, end_s),
        complete=curve.until_s is None,
    )


def mean_mb(curve: Curve, start_s: float, stop_s: float) -> float:
    """Mean of a curve that was read at least once, drawn as by `areas`, over a part of its time, which may be one moment."""
    times_s, values_mb = zip(*_readings(curve), strict=True)
    inside = [time for time in times_s if start_s < time < stop_s]
    levels = np.interp([start_s, *inside, stop_s], times_s, values_mb).tolist()
    if stop_s <= start_s:
        return float(levels[0])
    cut = list(zip([0.0, *(time - start_s for time in inside), stop_s - start_s], levels, strict=True))
    return _area_above(cut, 0.0, stop_s - start_s) / (stop_s - start_s)


def _readings(curve: Curve) -> list[tuple[float, float]]:
    """(s, MB) of what was read."""
    return [(t, v) for t, v in zip(curve.times_s, curve.values_mb, strict=True) if v is not None]


def _area_above(points: Sequence[tuple[float, float]], floor_mb: float, end_s: float) -> float:
    """Integral of max(0, value - floor) from 0 to the end."""
    heights = [value - floor_mb for _, value in points]
    times = [time for time, _ in points]
    area = max(0.0, heights[0]) * times[0] + max(0.0, heights[-1]) * max(0.0, end_s - times[-1])
    for i in range(1, len(points)):
        area += _positive_part(heights[i - 1], heights[i]) * (times[i] - times[i - 1])
    return area


def _positive_part(left: float, right: float) -> float:
    """Mean height over 0 of a line from `left` to `right`."""
    if left >= 0 and right >= 0:
        return (left + right) / 2
    top = max(left, right)
    return top * top / (2 * abs(right - left)) if top > 0 else 0.0
