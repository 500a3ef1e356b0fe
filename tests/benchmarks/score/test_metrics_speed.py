from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.phantoms import label_map, save_labels

from flare_trt.benchmarks.score import metrics_cli
from flare_trt.benchmarks.score.metrics_speed import perturbed


def test_the_prediction_is_like_the_reference_but_not_it() -> None:
    reference = label_map(2, (15, 26, 31), (1, 3, 11))
    prediction = perturbed(reference)
    assert set(np.unique(prediction)) == set(np.unique(reference))
    assert 0 < np.mean(prediction != reference) < 0.6


@pytest.mark.peer
def test_both_are_timed_and_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("surface_distance")
    path = save_labels(tmp_path / "labels.nii.gz", label_map(2, (15, 26, 31), (1, 3, 11)), (2.5, 0.8, 0.7))
    parser = argparse.ArgumentParser()
    metrics_cli.configure(parser)
    words = [str(path), "--repeats", "2", "--out", str(tmp_path / "r.json")]
    assert metrics_cli.run(parser.parse_args(words)) == 0
    assert "times faster" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["data"]["structures"] == 3
    assert len(result["data"]["ours_s"]) == len(result["data"]["theirs_s"]) == 2
    assert result["checks"][0]["measured"] < 1e-6
