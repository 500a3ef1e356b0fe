from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.distil.bundle_figures import Figure
from flare_trt.training.tumours import card
from flare_trt.training.tumours.card import Branch, card_of, tumour_card
from flare_trt.training.tumours.held_out import LesionScore
from flare_trt.training.tumours.lesion_figures import LesionFigure
from tests.training.tumours.tumour_fixtures import tumour_config

HEADINGS = ("Recipe", "Tumours", "Data", "Data of the branch", "Figures", "Where the fine network looks", "Limits")


def test_the_card_carries_on_and_says_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "data_sources", lambda configs: [])
    with open_bundle(default_model()) as bundle:
        spec = replace(bundle.spec, name="new")
    scores = (LesionScore(0.0, 0, 0, 2), LesionScore(0.5, 4, 3, 1), LesionScore(0.7, 4, 1, 0))
    lesions = [LesionFigure("scan", planting, score) for planting, score in enumerate(scores)]
    organs = [Figure("scan", "exact", "roi", {"liver": 0.9}, 1500.0)]
    text = tumour_card(card_of(default_model()), spec, Branch(tumour_config(), 900, 1.5), organs, lesions)
    assert text.startswith("# Model card: new\n")
    assert "mean Dice 0.60, sensitivity 0.50" in text
    assert "0.5 false pieces above" in text
    assert "without lesions, false pieces: scan 2." in text
    assert "tumours are not labelled at all" not in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [f"## {name}" for name in HEADINGS]
    assert text.count("| liver") == 1  # the older figures are gone


def test_the_card_of_a_zip_is_found_and_one_that_is_missing_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "with.zip", "w") as archive:
        archive.writestr("bundle/MODEL_CARD.md", "# Card")
    assert card_of(tmp_path / "with.zip") == "# Card"
    with pytest.raises(InputError, match=r"got no MODEL_CARD.md"):
        card_of(tmp_path)
