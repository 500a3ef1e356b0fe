"""Tables in Markdown, for the terminal and for the documents alike."""

from __future__ import annotations

from collections.abc import Sequence

from flare_trt.benchmarks.measure.measure import Measurement

#: The columns of the paper's Table 4, with whose memory it is said in the row.
MEASURED_COLUMNS = ("case", "size", "memory of", "running time (s)", "max (MB)", "area (MB s)", "above 4 GB (MB s)")


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under columns, padded so that it also reads as plain text; None is shown as a dash."""
    cells = [[_cell(value) for value in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


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


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
