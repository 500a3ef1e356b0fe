"""What the tables of measurements share."""

from __future__ import annotations

from flare_trt.benchmarks.measure.measure import Measurement

#: The columns of the paper's Table 4, with whose memory it is said in the row.
MEASURED_COLUMNS = ("case", "size", "memory of", "running time (s)", "max (MB)", "area (MB s)", "above 4 GB (MB s)")


def percent(share: float | None) -> str | None:
    """A share in whole per cent; None stays None."""
    return None if share is None else f"{100 * share:.0f}"


def measured_rows(case: str, shape_zyx: tuple[int, int, int] | None, measurement: Measurement) -> list[tuple[object, ...]]:
    """One row for each curve that was read."""
    size = None if shape_zyx is None else " x ".join(map(str, shape_zyx[::-1]))
    wall = f"{measurement.wall_s:.2f}"
    return [
        (
            case,
            size,
            name if found.complete else f"{name} (incomplete)",
            wall,
            round(found.peak_mb),
            round(found.true_mb_s),
            round(found.above_tolerance_mb_s),
        )
        for name, found in measurement.memory.items()
    ]
