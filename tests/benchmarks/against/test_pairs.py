"""Runs in pairs of a stand-in for `flare-trt` that is a real program: who runs when, with which caches, and what is measured."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.benchmarks.against.builds import Build
from flare_trt.benchmarks.against.pairs import EMPTY, FILLED, Case, Pair, Spent, run_pairs, run_with_caches, timed
from flare_trt.benchmarks.against.ratios import label_checks, pair_row, ratio_table
from flare_trt.engine.base.errors import FlareError, InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.scans.nifti import write_labels

#: Notes its side, words and whether its cache folder has been used before; its labels are the file `labels.nii.gz` of its side.
PROGRAM = """#!{python}
import json, os, pathlib, shutil, sys
words = sys.argv[1:]
cache = pathlib.Path(os.environ["XDG_CACHE_HOME"])
used = (cache / "mark").exists()
cache.mkdir(parents=True, exist_ok=True)
(cache / "mark").touch()
with open({log!r}, "a") as log:
    log.write(json.dumps([{side!r}, words, used]) + "\\n")
output = pathlib.Path(words[words.index("--output") + 1])
output.mkdir(exist_ok=True)
for scan in pathlib.Path(words[1]).iterdir():
    shutil.copy({labels!r}, output / scan.name)
"""


def side(tmp_path: Path, name: str, labels: np.ndarray) -> Build:
    folder = tmp_path / name
    program = folder / "venv" / "bin" / "flare-trt"
    program.parent.mkdir(parents=True)
    write_labels(folder / "labels.nii.gz", Volume(labels, Grid(labels.shape, (3.0, 2.0, 1.0))))
    facts = {"python": sys.executable, "log": str(tmp_path / "log"), "side": name, "labels": str(folder / "labels.nii.gz")}
    program.write_text(PROGRAM.format(**facts))
    program.chmod(0o755)
    return Build(name, folder, ())


def labels_with(value: int) -> np.ndarray:
    labels = np.zeros((3, 5, 4), np.uint8)
    labels[1, 1:3, 1:3] = 1
    labels[2, 4, 3] = value
    return labels


EMPTY_AND_ONE = {"none": np.zeros((3, 5, 4), np.uint8), "some": labels_with(1)}


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Build, Build]:
    return side(tmp_path, "old", labels_with(0)), side(tmp_path, "new", labels_with(1))


def noted(tmp_path: Path) -> list[list]:
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def test_sides_take_turns_after_a_run_that_does_not_count(tmp_path: Path, sides: tuple[Build, Build]) -> None:
    case = Case(tmp_path / "old" / "labels.nii.gz", "fast", Path("/model"), FILLED, copies=2, threads=1)
    pair = run_pairs(sides, case, 3, tmp_path / "work")
    runs = noted(tmp_path)
    assert [name for name, _, _ in runs] == ["old", "new", "new", "old", "old", "new", "new", "old"]
    assert [used for _, _, used in runs] == [False, False, *[True] * 6]
    assert runs[0][1][4:] == ["--mode", "fast", "--model", "/model", "--threads", "1"]
    assert (len(pair.before), len(pair.after)) == (3, 3)
    assert [path.name for path in pair.labels] == ["scan000.nii.gz"] * 2
    assert len(list((tmp_path / "work" / "after").iterdir())) == 2


def test_labels_in_fp32_are_made_once_for_all_caches(tmp_path: Path, sides: tuple[Build, Build]) -> None:
    case = Case(tmp_path / "old" / "labels.nii.gz", "fast", Path("/model"), EMPTY, copies=2, threads=1)
    pairs = run_with_caches(sides, case, (EMPTY, FILLED), 1, tmp_path / "work")
    fp32, *timed_runs = noted(tmp_path)
    plain = ["--mode", "fast", "--model", "/model", "--threads", "1"]
    assert (fp32[0], fp32[1][4:], fp32[2]) == ("old", [*plain, "--backend", "onnxruntime"], False)
    assert [words[4:] for _, words, _ in timed_runs] == [plain] * 8
    assert [used for _, _, used in timed_runs] == [*[False] * 4, False, False, True, True]
    assert [pair.case for pair in pairs] == [case, replace(case, caches=FILLED)]
    assert {pair.unrounded for pair in pairs} == {tmp_path / "work" / "fp32" / "scan000.nii.gz"}
    assert len(list((tmp_path / "work" / "fp32").iterdir())) == 1
    assert run_with_caches(sides, replace(case, model=None), (FILLED,), 1, tmp_path / "own")[0].unrounded is None


def test_mode_half_which_refuses_fp32_is_compared_with_exact(tmp_path: Path, sides: tuple[Build, Build]) -> None:
    case = Case(tmp_path / "old" / "labels.nii.gz", "half", Path("/model"), EMPTY)
    (pair,) = run_with_caches(sides, case, (EMPTY,), 1, tmp_path / "work")
    name, words, _ = noted(tmp_path)[0]
    assert (name, words[4:]) == ("old", ["--mode", "exact", "--model", "/model", "--backend", "onnxruntime"])
    assert [words[5] for _, words, _ in noted(tmp_path)[1:]] == ["half"] * 4
    assert pair.unrounded == tmp_path / "work" / "fp32" / "scan000.nii.gz"


def test_empty_caches_are_empty_in_every_run(tmp_path: Path, sides: tuple[Build, Build]) -> None:
    run_pairs(sides, Case(tmp_path / "old" / "labels.nii.gz", "exact", None, EMPTY), 2, tmp_path / "work")
    assert not any(used for _, _, used in noted(tmp_path))
    assert "--model" not in noted(tmp_path)[0][1]


def test_a_process_is_measured_by_what_it_used() -> None:
    spent = timed([sys.executable, "-c", "import time; held = bytearray(300 << 20); time.sleep(0.3)"], {})
    assert spent.wall_s > 0.3
    assert 300 < spent.peak_mb < 400
    assert spent.cpu_s < spent.wall_s


def test_a_run_that_fails_stops_with_its_last_words() -> None:
    with pytest.raises(FlareError, match=r"ended with exit code 3: no such scan"):
        timed([sys.executable, "-c", "import sys; print('no such scan'); sys.exit(3)"], {})
    with pytest.raises(FlareError, match="/no/such/program cannot be run"):
        timed(["/no/such/program"], {})


def test_ratios_are_the_medians_of_the_pairs_and_labels_are_checked(tmp_path: Path, sides: tuple[Build, Build]) -> None:
    before = tuple(Spent(wall, 2 * wall, 100.0, 0.0) for wall in (1.0, 2.0, 10.0))
    after = tuple(Spent(wall, wall, 80.0, 0.25) for wall in (0.9, 1.0, 4.0))
    labels = tuple(build.folder / "labels.nii.gz" for build in sides)
    rows = []
    for mode in ("exact", "fast"):
        pair = Pair(Case(Path("ct.nii.gz"), mode, Path("/model"), EMPTY), before, after, (labels[0], labels[1]))
        assert pair.medians("wall_s") == (2.0, 1.0, 0.5)
        rows.append(pair_row(pair, labels[0]))
    assert rows[0]["reference_before"] == 1.0
    assert rows[0]["reference_after"] == rows[0]["dice"] == pytest.approx(8 / 9)
    assert rows[0]["differing"] == pytest.approx(1 / 60)
    assert [(check.measured > check.limit) for check in label_checks(rows)] == [True, True]
    assert label_checks([{**rows[0], "same_weights": False}]) == []
    for unrounded, broken in ((labels[0], True), (labels[1], False)):
        row = pair_row(replace(pair, unrounded=unrounded), None)
        assert sorted([row["fp32_before"], row["fp32_after"]]) == pytest.approx([8 / 9, 1.0])
        assert [check.measured > check.limit for check in label_checks([row])] == [broken]
    both_lose = pair_row(replace(pair, labels=(labels[1], labels[1]), unrounded=labels[0]), None)  # no more than before: it passes
    assert [(check.measured, check.limit) for check in label_checks([both_lose])] == [pytest.approx((1 / 9, 1 / 9))]
    assert "| 2.00            | 1.00  | 0.50" in ratio_table(rows)
    write_labels(tmp_path / "small.nii.gz", Volume(np.zeros((2, 2, 2), np.uint8), Grid((2, 2, 2), (1.0, 1.0, 1.0))))
    with pytest.raises(InputError, match="expected the"):
        pair_row(pair, tmp_path / "small.nii.gz")


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_sides_that_both_label_nothing_agree(tmp_path: Path, mode: Mode) -> None:
    empty, one = (side(tmp_path, name, labels).folder / "labels.nii.gz" for name, labels in EMPTY_AND_ONE.items())
    spent = (Spent(1.0, 1.0, 100.0, 0.0),)
    case = Case(Path("ct.nii.gz"), mode, Path("/model"), EMPTY)
    for unrounded in (None, empty):
        row = pair_row(Pair(case, spent, spent, (empty, empty), unrounded), empty)
        assert [check.measured for check in label_checks([row])] == [0.0]
    row = pair_row(Pair(case, spent, spent, (empty, one), empty), None)
    (check,) = label_checks([row])
    assert not check.measured <= check.limit, "the side after labels what the side before does not"
