from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from flare_trt.benchmarks.report.files import write_json, write_text
from flare_trt.engine.base.errors import OutputError


def test_json_has_null_where_a_number_is_not_finite(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": (math.nan, math.inf, 1.5), "y": {"z": 2}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [None, None, 1.5], "y": {"z": 2}}


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "no" / "folder.txt", tmp_path / "taken"):
        with pytest.raises(OutputError, match=path.name):
            write_text(path, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
