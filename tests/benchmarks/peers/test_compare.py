"""Peers that are small scripts: what is run, what is compared, what is refused."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.phantoms import label_map, save_labels

from flare_trt.benchmarks.peers.compare import agreement, compare, mean_dice
from flare_trt.benchmarks.peers.peers_report import peer_checks, peer_rows, peer_table, ratio_lines, stage_table
from flare_trt.benchmarks.peers.roster import EXACT, LABELS, NNUNET, PEERS, REPORT, Peer, Task
from flare_trt.engine.base.errors import FlareError

pytest.importorskip("psutil")
SPACING = (2.0, 0.7, 0.8)
TRUTH = label_map(1, (7, 15, 17), (1, 2, 3))
MARK = (
    "import json, os, time; now = time.time(); mark = dict(stage='network', start_s=now, stop_s=now + 0.5); "
    "open(os.environ['FLARE_TRT_STAGES'], 'a').write(json.dumps(mark) + '\\n')"
)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    scan = save_labels(tmp_path / "ct.nii.gz", TRUTH, SPACING)
    changed = TRUTH.copy()
    changed[3, 4, :] = np.where(changed[3, 4, :] == 2, 3, changed[3, 4, :])
    save_labels(tmp_path / "changed.nii.gz", changed, SPACING)
    return Task(scan, tmp_path, tmp_path)


def copier(name: str, source: str = "ct.nii.gz", more: str = "") -> Peer:
    """A peer whose labels are a file beside the CT."""

    def command(task: Task, folder: Path) -> list[str]:
        code = f"import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2]); {more}"
        return [sys.executable, "-c", code, str(task.ct.parent / source), str(folder / LABELS), str(folder / REPORT)]

    return Peer(name, "", command, lambda: None)


def test_rows_checks_and_tables(task: Task, tmp_path: Path) -> None:
    roi = {"decision": "whole", "start_zyx": [0, 0, 0], "stop_zyx": [2, 3, 4]}
    told = json.dumps({"run": {"stages": {"network": 0.25}, "tiles": {"fine": 8}, "roi": roi}})
    report = f"open(sys.argv[3], 'w').write({told!r})"
    peers = copier(NNUNET.name, more=MARK), copier(EXACT.name, more=report), copier("other", "changed.nii.gz")
    found = compare(task, peers, 2, tmp_path / "runs")
    rows = peer_rows(found, TRUTH)
    assert [len(row["runs"]) for row in rows] == [2, 2, 2]
    assert rows[0]["stages"] == {"network": pytest.approx(0.5, abs=0.01)}
    assert rows[1]["stages"] == {"network": 0.25}
    assert (rows[1]["tiles"], rows[1]["roi"]) == ({"fine": 8}, "whole")
    assert (rows[1]["differing"], rows[1]["least_dice"], rows[1]["dice"]) == (0.0, 1.0, 1.0)
    assert 0 < rows[2]["differing"] < 0.01
    assert rows[2]["least_dice"] < 1
    assert all(check.measured == 0 for check in peer_checks(found))
    assert rows[2]["memory"]["tree_rss"]["peak_mb"] > 0
    assert "| other  " in peer_table(rows)
    assert "network 0.25, rest" in stage_table(rows)
    assert any(line.startswith("stage network: 0.25 / 0.5") for line in ratio_lines(rows[1], rows[0]))


def test_labels_of_exact_that_are_wrong_break_the_check(task: Task, tmp_path: Path) -> None:
    found = compare(task, (copier(NNUNET.name), copier(EXACT.name, "changed.nii.gz")), 1, tmp_path / "runs")
    voxels, dice = peer_checks(found)
    assert voxels.measured > voxels.limit
    assert dice.measured > dice.limit


def test_a_peer_that_fails_or_cannot_run_is_said_with_its_reason(task: Task, tmp_path: Path) -> None:
    failing = copier("failing", more="raise SystemExit('out of luck')")
    silent = Peer("silent", "", lambda task, folder: ["true"], lambda: None)
    absent = Peer("absent", "", lambda task, folder: ["true"], lambda: "not installed: everything")
    found = compare(task, (failing, silent, absent), 2, tmp_path / "runs")
    assert [compared.problem for compared in found] == [
        "failed with exit code 1: out of luck",
        "failed with exit code 0: ",
        "not installed: everything",
    ]
    assert not (tmp_path / "runs" / "failing-1").exists()
    assert [check.measured for check in peer_checks(found)] == [1.0]
    assert "| absent  | -  " in peer_table(peer_rows(found, None))


def test_labels_that_change_from_run_to_run_are_an_error(task: Task, tmp_path: Path) -> None:
    fickle = "import time; marker = __import__('pathlib').Path(sys.argv[1] + '.seen'); "
    fickle += "marker.exists() and shutil.copy(sys.argv[1].replace('ct.', 'changed.'), sys.argv[2]); marker.touch()"
    with pytest.raises(FlareError, match="two runs gave different labels"):
        compare(task, (copier("fickle", more=fickle),), 2, tmp_path / "runs")


def test_agreement_and_mean_dice() -> None:
    one, other = np.array([[[1, 1, 0, 2]]], np.uint8), np.array([[[1, 0, 0, 3]]], np.uint8)
    assert agreement(one, one).least_dice == 1.0
    assert agreement(one, other).differing == 0.5
    assert agreement(one, other).least_dice == 0.0  # labels 2 and 3 are each on one side alone
    assert mean_dice(other, one) == pytest.approx((2 / 3 + 0) / 2)


def test_two_maps_without_a_label_agree_wholly() -> None:
    empty, one = np.zeros((2, 3, 4), np.uint8), np.ones((2, 3, 4), np.uint8)
    assert mean_dice(empty, empty) == agreement(empty, empty).least_dice == 1.0
    assert mean_dice(empty, one) == 0.0
    assert math.isnan(mean_dice(one, empty)), "there is no label to take the mean of"


def test_every_peer_has_a_command_that_names_ct_weights_and_output(tmp_path: Path) -> None:
    task = Task(tmp_path / "scan.nii.gz", tmp_path / "folder", tmp_path / "bundle", "cuda:1")
    for peer in PEERS:
        words = peer.command(task, tmp_path / "out")
        assert words[0] == sys.executable
        assert {str(task.ct), str(tmp_path / "out" / LABELS), "cuda:1"} <= set(words)
        assert str(task.bundle if "flare_trt.engine" in words else task.model_folder) in words
