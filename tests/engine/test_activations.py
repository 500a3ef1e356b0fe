"""Activations other than LeakyReLU, GELU and ReLU against the real nnUNetPredictor, weights of PReLU included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.test_other_intensities import hold_together, mr_scan
from tests.golden.made import Made

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

MODEL = Made((("MR", "ZScoreNormalization", False),), patch=(16, 32, 24), seed=4)


@pytest.mark.parametrize(("name", "settings"), [("ELU", {"inplace": True}), ("SiLU", {"inplace": True}), ("PReLU", {"init": 0.3})])
def test_labels_equal_nnunets(name: str, settings: dict[str, object], tmp_path: Path) -> None:
    layers = (("nonlin", f"torch.nn.{name}"), ("nonlin_kwargs", settings))
    hold_together(replace(MODEL, layers=layers), mr_scan(tmp_path / "mr.nii.gz", shape=(17, 47, 39)), tmp_path)
