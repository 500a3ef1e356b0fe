"""The model that comes with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model import default_model


def test_it_lies_in_the_package_with_its_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # wherever the process runs
    folder = default_model.default_model()
    assert folder.parts[-4:] == ("engine", "model", "models", "default")
    assert {"bundle.json", "MODEL_CARD.md"} <= {path.name for path in folder.iterdir()}


def test_a_folder_without_a_spec_is_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").mkdir()
    monkeypatch.setattr(default_model, "DEFAULT_MODEL", tmp_path)
    with pytest.raises(BundleError, match=r"this build of flare-trt brings no default model; name one with --model BUNDLE"):
        default_model.default_model()
