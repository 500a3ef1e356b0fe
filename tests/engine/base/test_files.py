from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import atomic_file, files_below, files_with, write_json, write_text


def test_json_has_null_where_a_number_is_not_finite(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": (math.nan, math.inf, 1.5), "y": {"z": 2}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [None, None, 1.5], "y": {"z": 2}}


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "no" / "folder.txt", tmp_path / "taken"):
        with pytest.raises(OutputError, match=path.name):
            write_text(path, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_lists_of_numbers_take_one_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"shape_zyx": [5, 7, math.nan], "names": ["a", "b"]})
    lines = (tmp_path / "a.json").read_text().splitlines()
    assert lines == ["{", ' "shape_zyx": [ 5, 7, null ],', ' "names": [', '  "a",', '  "b"', " ]", "}"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("kept.txt", "old")]


def test_files_of_a_folder_and_below_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/c.NII", "b/._c.nii", ".d/e.nii", "__MACOSX/f.nii", "a.nii.gz", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files_below(tmp_path, (".nii", ".nii.gz"))] == ["a.nii.gz", "c.NII"]
    assert [path.name for path in files_with(tmp_path, (".nii", ".nii.gz"))] == ["a.nii.gz"]
