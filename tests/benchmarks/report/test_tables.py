from __future__ import annotations

from flare_trt.benchmarks.report.tables import markdown_table


def test_columns_are_padded_and_nothing_is_a_dash() -> None:
    assert markdown_table(("name", "s"), [("a", 1.23456), ("long name", None), ("n", 1200)]).splitlines() == [
        "| name      | s    |",
        "|-----------|------|",
        "| a         | 1.23 |",
        "| long name | -    |",
        "| n         | 1200 |",
    ]
