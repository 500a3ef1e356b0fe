from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.benchmarks.base.machine import commit, installed_versions, this_machine, without_places
from flare_trt.benchmarks.base.result_file import Result, load_result, new_result, save_result
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.spec import Check


def test_a_result_says_where_how_and_whether_it_counts(tmp_path: Path) -> None:
    result = new_result("peers", [Check("good", 0.5, 1.0), Check("bad", 2.0, 1.0)], {"rows": [1.5, float("nan")]})
    save_result(tmp_path / "r.json", result)
    read = load_result(tmp_path / "r.json")
    assert isinstance(read, Result)
    assert read.broken == ["bad: 2.0, limit 1.0"]
    assert read.data == {"rows": [1.5, None]}
    assert read.machine["cores"] >= 1
    assert "numpy" in read.versions


def test_a_check_that_was_not_measured_does_not_hold(tmp_path: Path) -> None:
    result = new_result("x", [Check("dice", float("nan"), 1.0)], {})
    assert len(result.broken) == 1
    save_result(tmp_path / "r.json", result)
    assert len(load_result(tmp_path / "r.json").broken) == 1


@pytest.mark.parametrize("text", ["", "{}", '{"benchmark": "x", "more": 1}', "[1]"])
def test_a_file_that_is_no_result_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=r"r\.json: not a benchmark result"):
        load_result(tmp_path / "r.json")


def test_a_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: not a benchmark result: No such file or directory$"):
        load_result(tmp_path / "gone.json")


def test_places_of_the_machine_are_left_out() -> None:
    assert without_places(["bench", "/data/x/ct.nii.gz", "--out", "a/b.json"]) == ["bench", "ct.nii.gz", "--out", "a/b.json"]


def test_the_machine_is_described() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.memory_gb > 0
    assert installed_versions()["python"].startswith("3.")
    assert commit()
