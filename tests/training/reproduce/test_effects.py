"""The directions of the paper's tables 5 and 6, by a whole reproduction on phantoms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flare_trt.training.reproduce.experiment import Effort, run_experiment
from flare_trt.training.reproduce.miniature import MiniatureSize


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.skipif(
    os.environ.get("FLARE_TRT_REPRODUCE") != "1", reason="trains for a quarter of an hour; set FLARE_TRT_REPRODUCE=1 to run it"
)
def test_pseudo_labels_and_the_coarse_network_help(tmp_path: Path) -> None:
    figures = run_experiment(tmp_path / "reproduction", MiniatureSize(4, 8, 8), Effort(), [])
    labelled, pseudo, _ = (row.organ_dsc for row in figures.labels)
    alone, cascade = (row.organ_dsc for row in figures.coarse)
    assert labelled > 0.3, "the networks learned"
    assert pseudo > labelled
    assert cascade > alone
