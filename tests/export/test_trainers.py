"""The network is the one that the trainer's class builds, or the export stops: never plans.json's in silence."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.export import trainers
from flare_trt.export.nnunet import About, TrainedModel, export_nnunet
from flare_trt.export.trainers import PLAN_TRAINERS

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
Golden = Callable[[str], Path]

#: Trainers as users write them; the weights of the golden network fit the first three.
SOURCE = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

class SiLUTrainer(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, configuration_manager, channels, heads, enable_deep_supervision=True):
        kwargs = configuration_manager.network_arch_init_kwargs
        kwargs["nonlin"], kwargs["nonlin_kwargs"] = "torch.nn.SiLU", {"inplace": True}
        return nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, channels, heads, enable_deep_supervision)

class EpsilonTrainer(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(arch_class_name, arch_kwargs, imports, channels, heads, enable_deep_supervision=True):
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        arch_kwargs = {**arch_kwargs, "norm_op_kwargs": {"eps": 0.1, "affine": True}}
        return get_network_from_plans(arch_class_name, arch_kwargs, imports, channels, heads, True, enable_deep_supervision)

class LossTrainer(nnUNetTrainer):
    pass

class BrokenTrainer(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, configuration_manager, channels, heads, enable_deep_supervision=True):
        raise RuntimeError("no such block")
"""


def trained_by(trainer: str, golden: Golden, folder: Path) -> Path:
    """The golden folder "plain" as if that trainer had made fold 0; BatchNorm gets statistics of its own."""
    shutil.copytree(golden("plain"), folder, ignore=shutil.ignore_patterns("fold_1"))
    file = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["trainer_name"] = trainer
    if trainer == "nnUNetTrainerBN":
        generator = torch.Generator().manual_seed(0)
        for name, weight in list(checkpoint["network_weights"].items()):
            if (weight.ndim == 1 and "norm" in name) or "all_modules.1" in name:
                stem = name.rpartition(".")[0]
                statistics = torch.rand(weight.shape, generator=generator.manual_seed(len(weight))) + 0.5
                for key, value in (
                    ("running_mean", statistics),
                    ("running_var", statistics),
                    ("num_batches_tracked", torch.tensor(9)),
                ):
                    checkpoint["network_weights"][f"{stem}.{key}"] = value
    torch.save(checkpoint, file)
    return folder


@pytest.fixture
def own_trainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own_trainers.py").write_text(SOURCE)
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "code"))


def export(model: TrainedModel, destination: Path) -> tuple[ModelSpec, list[str]]:
    told: list[str] = []
    return export_nnunet(model, None, About("CC-BY-4.0"), destination, told.append, "quick"), told


def logits_are_the_predictors(folder: Path, bundle: Path) -> None:
    from tests.golden.nnunet_peer import network_logits, nnunet_predictor

    with open_bundle(bundle) as opened:
        image = np.random.default_rng(2).normal(size=(1, 1, *opened.spec.fine.patch_zyx)).astype(np.float32)
        expected = network_logits(nnunet_predictor(folder), 0, image)
        for backend in ("openvino", "onnxruntime"):
            session = open_session(backend, opened.network_files(opened.spec.fine)[0], SessionOptions())
            np.testing.assert_allclose(session.run(image), expected, atol=2e-4 * expected.std())


@pytest.mark.peer
@pytest.mark.usefixtures("own_trainers")
@pytest.mark.parametrize(
    ("trainer", "difference"),
    [
        ("nnUNetTrainer", None),
        ("nnUNetTrainerNoDeepSupervision", None),
        ("LossTrainer", None),
        ("nnUNetTrainerBN", r"is BatchNorm3d\(.*plans.json says InstanceNorm3d\("),
        ("SiLUTrainer", r"is SiLU\(.*plans.json says LeakyReLU\("),
        ("EpsilonTrainer", r"eps=0.1.*plans.json says InstanceNorm3d\(8, eps=1e-05"),
    ],
)
def test_the_trainers_network_is_exported(trainer: str, difference: str | None, golden: Golden, tmp_path: Path) -> None:
    pytest.importorskip("nnunetv2")
    folder = trained_by(trainer, golden, tmp_path / "model")
    spec, told = export(TrainedModel(folder), tmp_path / "bundle")
    assert spec.provenance.network_from == "trainer"
    words = [line for line in told if "another network" in line]
    if difference is None:
        assert words == []
    else:
        (word,) = words
        assert word.startswith(f"fine: the trainer {trainer} builds another network than plans.json, which is exported: ")
        assert re.search(difference, word), word
    logits_are_the_predictors(folder, tmp_path / "bundle")


@pytest.mark.usefixtures("own_trainers")
def test_a_trainer_that_nobody_knows_stops_the_export(golden: Golden, tmp_path: Path) -> None:
    folder = trained_by("MissingTrainer", golden, tmp_path / "model")
    with pytest.raises(ExportError, match=r"trained by 'MissingTrainer'.*install nnunetv2 with that trainer.*--network-from plans"):
        export(TrainedModel(folder), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    spec, _ = export(TrainedModel(folder, plans_only=True), tmp_path / "bundle")
    assert (spec.provenance.network_from, spec.provenance.checked) == ("plans", "quick")
    assert "MissingTrainer" in spec.provenance.source


@pytest.mark.peer
@pytest.mark.usefixtures("own_trainers")
def test_a_trainer_that_fails_stops_the_export(golden: Golden, tmp_path: Path) -> None:
    pytest.importorskip("nnunetv2")
    folder = trained_by("BrokenTrainer", golden, tmp_path / "model")
    with pytest.raises(ExportError, match=r"trainer BrokenTrainer: its network cannot be built: RuntimeError: no such block"):
        export(TrainedModel(folder), tmp_path / "bundle")


def test_no_code_runs_from_the_model_folder(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trained_by("SiLUTrainer", golden, tmp_path / "model")
    (folder / "own_trainers.py").write_text("raise SystemExit('ran')\n")
    for place in (folder, tmp_path):
        monkeypatch.setenv("nnUNet_extTrainer", str(place))
        with pytest.raises(ExportError, match=r"overlaps the model folder .*; code is not run from there"):
            export(TrainedModel(folder), tmp_path / "bundle")


def test_known_trainers_need_no_nnunetv2(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainers, "find_trainer", lambda name, folder: (None, "ImportError: no nnunetv2"))
    spec, _ = export(TrainedModel(trained_by("nnUNetTrainer_250epochs", golden, tmp_path / "model")), tmp_path / "bundle")
    assert spec.provenance.network_from == "known trainer"
    with pytest.raises(ExportError, match=r"trained by 'nnUNetTrainerBN'"):
        export(TrainedModel(trained_by("nnUNetTrainerBN", golden, tmp_path / "other")), tmp_path / "bundle2")


@pytest.mark.peer
def test_the_known_trainers_leave_the_network_alone() -> None:
    """Each class of the installed nnunetv2 and of ours by its own code."""
    nnunetv2 = pytest.importorskip("nnunetv2")
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from flare_trt.training.fit.trainers import flare_trainers, miniature_trainers

    root = Path(nnunetv2.__path__[0])
    files = [*(root / "training/nnUNetTrainer/variants").rglob("[!_]*.py"), root / "training/nnUNetTrainer/nnUNetTrainer.py"]
    modules: list[Any] = [flare_trainers, miniature_trainers]
    modules += [importlib.import_module(".".join(file.relative_to(root.parent).with_suffix("").parts)) for file in files]
    found = {
        name: value
        for module in modules
        for name, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, nnUNetTrainer) and not name.startswith("_") and name != "Unaugmented"
    }
    follow = {name for name, value in found.items() if value.build_network_architecture is nnUNetTrainer.build_network_architecture}
    assert found.keys() - follow == {"nnUNetTrainerBN"}
    assert follow == set(PLAN_TRAINERS)
