"""A report is a page or JSON by its file's ending, whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.results.html.test_page import COLOURS, pictures, report

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.results.html.page import report_page
from flare_trt.engine.results.report_files import write_report


def test_the_ending_decides(tmp_path: Path) -> None:
    given = replace(report(), scan="肝臓.nii")
    for name in ("r.json", "r.HTML"):
        assert write_report(tmp_path / name, given, COLOURS, pictures()) == ()
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["scan"] == "肝臓.nii"
    assert (tmp_path / "r.HTML").read_text(encoding="utf-8") == report_page(given, COLOURS, pictures())


def test_a_page_is_a_page_where_there_are_no_pictures(tmp_path: Path) -> None:
    assert write_report(tmp_path / "r.html", report(), COLOURS, None) == ()
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == report_page(report(), COLOURS, None)


@pytest.mark.parametrize("name", ["r.html", "r.json"])
def test_a_place_that_cannot_be_written_is_refused_and_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=name):
        write_report(tmp_path / name, report(), COLOURS, pictures())
    assert [path.name for path in tmp_path.iterdir()] == [name]
