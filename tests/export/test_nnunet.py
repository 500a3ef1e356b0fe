"""Golden model folders, exported whole: the bundle opens, and each backend gives the logits of nnU-Net's own network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.golden.variants import GOLDEN

from flare_trt.engine.base.errors import ExportError, OutputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.export.nnunet import About, TrainedModel, export_nnunet

pytest.importorskip("torch")
pytest.importorskip("onnx")
ABOUT = About("CC-BY-4.0")
Golden = Callable[[str], Path]


def export(model: TrainedModel, destination: Path, coarse: TrainedModel | None = None, about: About = ABOUT) -> ModelSpec:
    return export_nnunet(model, coarse, about, destination, lambda line: None)


@pytest.mark.peer
@pytest.mark.parametrize("name", GOLDEN)
def test_logits_equal_nnunets(golden: Golden, tmp_path: Path, name: str) -> None:
    pytest.importorskip("nnunetv2")
    from tests.golden.nnunet_peer import network_logits, nnunet_predictor

    folds = (0, 1) if name == "plain" else (0,)
    spec = export(TrainedModel(golden(name)), tmp_path / "bundle")
    predictor = nnunet_predictor(golden(name), folds)
    image = np.random.default_rng(2).normal(size=(1, 1, *spec.fine.patch_zyx)).astype(np.float32)
    with open_bundle(tmp_path / "bundle") as bundle:
        assert bundle.spec == spec
        files = bundle.network_files(bundle.spec.fine)
        assert len(files) == len(folds)
        for fold, file in enumerate(files):
            expected = network_logits(predictor, fold, image)
            assert expected.std() > 0.1
            for backend in ("openvino", "onnxruntime"):
                session = open_session(backend, file, SessionOptions())
                assert session.input_shape == image.shape
                assert session.channels == len(spec.fine.channel_values)
                np.testing.assert_allclose(session.run(image), expected, atol=2e-4 * expected.std())
    assert spec.fine.mirror_axes == tuple(predictor.allowed_mirroring_axes)


def test_what_the_bundle_says(golden: Golden, tmp_path: Path) -> None:
    spec = export(TrainedModel(golden("plain"), ("1",)), tmp_path / "bundle.zip", about=About("Apache-2.0", "small one"))
    assert (spec.name, spec.provenance.licence) == ("small one", "Apache-2.0")
    assert spec.provenance.source == (
        "nnU-Net v2: Dataset901_GoldenPlain, nnUNetTrainer, nnUNetPlans, 3d_fullres, fold 1, checkpoint final"
    )
    assert spec.provenance.exported_by.startswith("flare-trt ")
    assert spec.label_names[9] == "gallbladder"
    assert spec.labels[1].colour == "#e0a030", "right_kidney has the colour of FLARE's right kidney"
    names = [check.name for check in spec.provenance.checks]
    assert len(names) == 8
    assert "fine.onnx, CT-like patch, openvino against torch: largest difference / standard deviation" in names
    assert all(check.measured <= check.limit for check in spec.provenance.checks)
    assert str(tmp_path) not in json.dumps([spec.provenance.source, names])


def test_exports_are_the_same_bytes(golden: Golden, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export(TrainedModel(golden("plain"), ("0",)), tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_two_stages_mean_the_same_by_a_name(golden: Golden, tmp_path: Path) -> None:
    """The coarse model's labels get the fine model's values, whatever their order in its own dataset.json."""
    coarse = tmp_path / "coarse"
    shutil.copytree(golden("residual"), coarse)
    dataset = json.loads((coarse / "dataset.json").read_text())
    labels = dataset["labels"]
    labels["liver"], labels["spleen"] = labels["spleen"], labels["liver"]
    (coarse / "dataset.json").write_text(json.dumps(dataset))
    spec = export(TrainedModel(golden("plain"), ("0",)), tmp_path / "bundle", TrainedModel(coarse))
    assert spec.coarse is not None
    assert spec.coarse.channel_values == (0, 3, 2, 1, *range(4, 14))
    assert spec.fine.channel_values == tuple(range(14))
    assert (spec.coarse.orientation, spec.fine.orientation) == ("SAR", "as-stored")
    assert [spec.coarse.networks[0].file, spec.fine.networks[0].file] == ["coarse.onnx", "fine.onnx"]
    assert "; Dataset901_GoldenPlain" in spec.provenance.source


def test_coarse_labels_that_fine_does_not_know_are_refused(golden: Golden, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"coarse: got the labels kidneys, organs \(rest\), vessels, expected labels of the fine"):
        export(TrainedModel(golden("plain"), ("0",)), tmp_path / "bundle", TrainedModel(golden("regions")))
    assert not (tmp_path / "bundle").exists()


def test_folds_of_two_configurations_are_refused(golden: Golden, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(golden("inherited"), mixed)
    shutil.copytree(golden("plain") / "fold_0", mixed / "fold_1")
    with pytest.raises(ExportError, match=r"got the configuration '3d_fullres', expected the first fold's '3d_child'"):
        export(TrainedModel(mixed), tmp_path / "bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixed"]


def test_orientation_may_be_given(golden: Golden, tmp_path: Path) -> None:
    model = replace(TrainedModel(golden("plain"), ("0",)), orientation="SPL")
    assert export(model, tmp_path / "bundle").fine.orientation == "SPL"


def test_a_patch_that_the_network_cannot_take_is_refused(golden: Golden, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(golden("plain"), odd)
    plans = json.loads((odd / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["patch_size"] = [32, 48, 41]
    (odd / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ExportError, match=r"torch cannot export the network at patch \(32, 48, 41\)"):
        export(TrainedModel(odd), tmp_path / "bundle")


def test_nothing_is_computed_for_a_place_that_is_taken(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"is no sound bundle"):
        export(TrainedModel(golden("plain") / "nowhere"), tmp_path)
