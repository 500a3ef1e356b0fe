from __future__ import annotations

import json
from pathlib import Path

import pytest

from flare_trt.benchmarks.measure.phases import VARIABLE, Phase, phase_seconds, read_phases
from flare_trt.engine.base.stopwatch import marked


def test_phases_are_placed_after_the_start(tmp_path: Path) -> None:
    path = tmp_path / "stages"
    path.write_text(json.dumps({"stage": "read", "start_s": 1000.5, "stop_s": 1002}) + "\n")
    assert read_phases(path, 1000.0) == ([Phase("read", 0.5, 2.0)], [])
    assert read_phases(tmp_path / "absent", 0.0) == ([], [])


@pytest.mark.parametrize("line", ['{"stage": "fi', "[]", '{"stage": "a", "start_s": "x", "stop_s": 1}', '{"stage": "a"}', "\xff"])
def test_a_broken_line_is_reported_and_the_rest_kept(tmp_path: Path, line: str) -> None:
    path = tmp_path / "stages"
    path.write_text('{"stage": "a", "start_s": 1, "stop_s": 2}\n' + line + "\n", encoding="latin-1")
    phases, problems = read_phases(path, 0.0)
    assert phases == [Phase("a", 1.0, 2.0)]
    assert len(problems) == 1
    assert "line 2" in problems[0]


def test_seconds_add_up_by_name_in_order() -> None:
    phases = Phase("b", 0.0, 1.0), Phase("a", 1.0, 3.0), Phase("b", 3.0, 3.5)
    assert list(phase_seconds(phases).items()) == [("b", 1.5), ("a", 2.0)]


def test_the_engine_writes_marks_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    with marked("fine"):
        pass
    phases, problems = read_phases(tmp_path / "stages", 0.0)
    assert [phase.name for phase in phases] == ["fine"]
    assert problems == []
