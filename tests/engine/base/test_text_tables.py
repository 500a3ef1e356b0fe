from __future__ import annotations

from flare_trt.engine.base.text_tables import aligned_table, markdown_table


def test_columns_are_padded_and_nothing_is_a_dash() -> None:
    assert markdown_table(("name", "s"), [("a", 1.23456), ("long name", None), ("n", 1200)]).splitlines() == [
        "| name      | s    |",
        "|-----------|------|",
        "| a         | 1.23 |",
        "| long name | -    |",
        "| n         | 1200 |",
    ]


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown_table(("a",), [("x|y",)]).splitlines()[-1] == "| x/y |"


def test_aligned_columns_have_no_trailing_blanks() -> None:
    assert aligned_table([["organ", "ml", "cut at"], ["liver", "1500.0", "-"], ["left kidney", "9", "S"]]).splitlines() == [
        "organ            ml  cut at",
        "liver        1500.0       -",
        "left kidney       9       S",
    ]
