"""Tables as text: aligned columns for a terminal, Markdown for documents that are read as plain text too."""

from __future__ import annotations

from collections.abc import Sequence


def aligned_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as aligned columns: the first to the left, the others to the right.

    >>> print(aligned_table([["organ", "ml"], ["liver", "1500.0"]]))
    organ      ml
    liver  1500.0
    """
    widths = _widths(rows)
    lines = (
        [cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    )
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under columns, padded so that it also reads as plain text; None is shown as a dash, a "|" in a cell as "/"."""
    cells = [[_cell(value) for value in row] for row in (columns, *rows)]
    widths = _widths(cells)
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value).replace("|", "/")
