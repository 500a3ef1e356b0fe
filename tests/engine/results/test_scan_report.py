"""Which reports are pages, and a report as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engine.results.html.test_page import report

from flare_trt.engine.results.scan_report import is_page


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("r.html", True),
        ("r.HTML", True),
        ("r.json", False),
        ("r.html.json", False),
        ("r.htm", False),
        ("html", False),
        (None, False),
    ],
)
def test_the_ending_alone_makes_a_page(path: str | None, page: bool) -> None:
    assert is_page(None if path is None else Path("a.html") / path) is page


def test_json_holds_every_part() -> None:
    told = json.loads(json.dumps(report().as_json()))
    assert (told["shape_zyx"], told["spacing_mm"], told["orientation"]) == ([40, 50, 60], [2.5, 1.0, 1.0], "SPL")
    assert [organ["volume_ml"] for organ in told["organs"]] == [1500.25, 0.0, 12.5]
    assert (told["tumours"][0]["lesions"][0]["longest_axial_mm"], told["tumours"][0]["specks"]) == (41.7, 3)
    assert (told["run"]["roi"]["decision"], told["study_uid"], told["phase"]["aorta_hu"]) == ("enlarged", "", None)
