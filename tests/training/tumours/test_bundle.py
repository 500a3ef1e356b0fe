from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.tumours.bundle import GATES, TrainedTumours, write_tumour_bundle
from flare_trt.training.tumours.loop import new_state
from flare_trt.training.tumours.network import organs_of_bundle
from flare_trt.training.tumours.recipe import CHANNELS, TUMOUR
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.training.tumours.tumour_fixtures import tumour_config


def trained(folder: Path) -> TrainedTumours:
    config = replace(tumour_config(), patch_zyx=(16, 32, 32))
    state = new_state(config, organs_of_bundle(default_model(), config.network))
    state.step = 7
    state.save(folder / "best.pt")
    return TrainedTumours(config, [folder / "best.pt"])


def test_the_bundle_has_the_tumour_s_class_its_rule_and_the_older_coarse_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for measure in ("measure_bundle", "measure_lesions"):  # they have tests of their own
        monkeypatch.setattr(f"flare_trt.training.tumours.bundle.{measure}", lambda *arguments: [])
    monkeypatch.setattr("flare_trt.training.tumours.card.data_sources", lambda configs: [])
    older = write_tiny_bundle(tmp_path / "older", coarse=True)
    (older / "MODEL_CARD.md").write_text("# Model card: older\n\nOrgans.\n\n## Recipe\nSteps.\n", "utf-8")
    spec = write_tumour_bundle(trained(tmp_path), older, "tiny-tumours", tmp_path / "bundle")
    with open_bundle(tmp_path / "bundle") as bundle, open_bundle(older) as before:
        assert bundle.spec == spec
        assert before.spec.coarse is not None
        assert (bundle.folder / "coarse.onnx").read_bytes() == before.network_files(before.spec.coarse)[0].read_bytes()
    assert spec.label_names[TUMOUR] == "tumour"
    assert (spec.fine.channel_values, spec.fine.strong_label) == ((*range(CHANNELS), TUMOUR), TUMOUR)
    assert spec.lesion_gates == GATES
    assert "7 steps" in spec.provenance.source
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# Model card: tiny-tumours")
    assert "## Recipe\nSteps." in card
    assert "trained for 7 steps" in card
    assert all(check.measured <= check.limit for check in spec.provenance.checks)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    single, plain = write_tiny_bundle(tmp_path / "single.zip"), write_tiny_bundle(tmp_path / "plain.zip", coarse=True)
    with pytest.raises(InputError, match=r"got no MODEL_CARD.md"):
        write_tumour_bundle(trained(tmp_path), plain, "x", tmp_path / "bundle")
    with pytest.raises(InputError, match="without a coarse stage"):
        write_tumour_bundle(trained(tmp_path), single, "x", tmp_path / "bundle")
    with pytest.raises(InputError, match="no such checkpoint"):
        TrainedTumours(tumour_config(), [tmp_path / "none.pt"]).network()
    assert not (tmp_path / "bundle").exists()
    assert isinstance(trained(tmp_path).network(), torch.nn.Module)


def test_of_several_checkpoints_it_is_the_mean(tmp_path: Path) -> None:
    first = trained(tmp_path)
    state = new_state(first.config, organs_of_bundle(default_model(), first.config.network))
    state.step, state.seconds = 9, 7200.0
    with torch.no_grad():
        state.averaged.branch.stem.weight += 1.0
    state.save(tmp_path / "later.pt")
    both = TrainedTumours(first.config, [tmp_path / "best.pt", tmp_path / "later.pt"])
    weight, before = both.network().branch.stem.weight, first.network().branch.stem.weight
    torch.testing.assert_close(weight, before + 0.5)
    torch.testing.assert_close(both.network().branch.out.bias, first.network().branch.out.bias)
    branch = both.branch()
    assert (branch.steps, branch.hours, branch.checkpoints) == (9, 2.0, 2)
