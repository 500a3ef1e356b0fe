"""prepare -> plan -> fit -> resume -> finetune by nnunetv2 on phantoms, with the small CPU networks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.training.fit.runs import FitRun, NnUNetFolders, announce_trainers, finetune, plan_dataset, train
from flare_trt.training.prepare.cases import find_cases
from flare_trt.training.prepare.inspect_case import inspect_case
from flare_trt.training.prepare.raw_dataset import DatasetNames, LabelledCase, write_datasets
from flare_trt.training.pseudo.doubt import DoubtLimits
from flare_trt.training.pseudo.teachers import NnUNetTeacher
from tests.training.flare_folder import SHAPE_ZYX, SPACING_MM, FolderSpec, make_flare_folder

NAMES = DatasetNames(901)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, pools_are_threads: None):
    root = tmp_path_factory.mktemp("nnunet")
    cases = find_cases(make_flare_folder(root / "flare", FolderSpec(("a", "b"), ("c",), ())))
    labelled = [LabelledCase(case.name, case.image, case.label, inspect_case(case).vouched) for case in cases if case.label]
    write_datasets(labelled, [], root / "raw", NAMES)
    before = dict(os.environ)
    os.environ.update(nnUNet_n_proc_DA="0", FLARE_TRT_ITERATIONS="2", OMP_NUM_THREADS="1")
    yield NnUNetFolders(root / "raw", root / "preprocessed", root / "results")
    for key in set(os.environ) - set(before):
        del os.environ[key]
    os.environ.update(before)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["FlareTrainer", "FlareFinetuneTrainer", "FlareMiniTrainer", "FlareMiniFinetuneTrainer"])
def test_trainers_are_found_without_a_walk_over_all_modules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.utilities import find_class_by_name, find_objects

    def walk(_: str) -> None:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setenv("nnUNet_extTrainer", "")  # so that it is put back
    announce_trainers()
    monkeypatch.setattr(find_class_by_name, "temporarily_cleanup_imports_from_path", walk)
    found = find_objects.recursive_find_trainer_class_by_name(name)
    assert found.__name__ == name
    assert found.__module__.startswith("flare_trt.training.fit.trainers.")


@pytest.fixture(scope="module")
def planned(folders: NnUNetFolders) -> NnUNetFolders:
    plan_dataset(folders, NAMES, "coarse", ["coarse_cpu"])
    return folders


def checkpoint(folder: Path, name: str):
    return torch.load(folder / name, weights_only=False)


@pytest.mark.slow
@pytest.mark.peer
def test_a_training_runs_resumes_and_is_fine_tuned(planned: NnUNetFolders) -> None:
    folder = train(planned, FitRun(NAMES, "coarse_cpu", "0", "cpu", epochs=1))
    assert (folder / "checkpoint_lowest_loss.pth").exists()
    first = checkpoint(folder, "checkpoint_final.pth")
    assert first["current_epoch"] == 1
    assert first["inference_allowed_mirroring_axes"] is None
    assert first["trainer_name"] == "FlareTrainer"
    assert len(list((folder / "validation").glob("*.nii.gz"))) == 1

    with pytest.raises(InputError, match="--resume"):
        train(planned, FitRun(NAMES, "coarse_cpu", "0", "cpu", epochs=2))
    train(planned, FitRun(NAMES, "coarse_cpu", "0", "cpu", resume=True, epochs=2))
    assert checkpoint(folder, "checkpoint_final.pth")["current_epoch"] == 2

    tuned = finetune(planned, FitRun(NAMES, "coarse_cpu", "all", "cpu", epochs=1), folder / "checkpoint_lowest_loss.pth")
    assert tuned.parent.name == "FlareFinetuneTrainer__FLAREPlans__coarse_cpu"
    last = checkpoint(tuned, "checkpoint_final.pth")
    start = checkpoint(folder, "checkpoint_lowest_loss.pth")["network_weights"]
    moved = [float((last["network_weights"][name] - weight).abs().max()) for name, weight in start.items()]
    assert 0 < max(moved) < 0.01, "two steps at 1e-4 from the given weights, segmentation layers too"
    assert last["optimizer_state"]["param_groups"][0]["initial_lr"] == 1e-4
    assert not list(folder.glob("*.partial"))


@pytest.mark.nightly
@pytest.mark.peer
def test_a_trained_folder_is_a_teacher(planned: NnUNetFolders) -> None:
    run = FitRun(NAMES, "coarse_cpu", "0", "cpu", epochs=1)
    folder = run.folder(planned)
    if not folder.exists():
        train(planned, run)
    teacher = NnUNetTeacher(folder.parent, (0,), DoubtLimits(), "cpu")
    ct, _ = make_phantom(4, SHAPE_ZYX, SPACING_MM, PhantomOptions(centre_mm=20.0))
    reading = teacher.read(ct)
    assert teacher.classes == frozenset(range(1, 14))
    assert {type(label) for label in teacher.classes} == {int}, "they are written as JSON"
    assert reading.labels.shape == reading.doubt.shape == ct.array.shape
    assert reading.labels.max() <= 13
    assert reading.doubt.any(), "a network of two steps is sure of little"
    assert reading.soft is not None
    assert reading.soft.classes.shape[1:] == ct.array.shape
    assert np.array_equal(reading.soft.classes[0], reading.labels)


@pytest.mark.nightly
@pytest.mark.peer
def test_a_network_in_miniature_is_trained_and_tuned_by_its_own_trainers(planned: NnUNetFolders) -> None:
    plan_dataset(planned, NAMES, "coarse", ["coarse_mini"])
    folder = train(planned, FitRun(NAMES, "coarse_mini", "0", "cpu", epochs=1))
    first = checkpoint(folder, "checkpoint_final.pth")
    assert first["trainer_name"] == "FlareMiniTrainer"
    assert {"exp_avg", "exp_avg_sq"} <= set(first["optimizer_state"]["state"][0]), "AdamW"
    assert first["optimizer_state"]["param_groups"][0]["initial_lr"] == 1e-2
    tuned = finetune(planned, FitRun(NAMES, "coarse_mini", "all", "cpu", epochs=1), folder / "checkpoint_lowest_loss.pth")
    assert tuned.parent.name == "FlareMiniFinetuneTrainer__FLAREPlans__coarse_mini"
    assert checkpoint(tuned, "checkpoint_final.pth")["optimizer_state"]["param_groups"][0]["initial_lr"] == 1e-4


def test_what_is_missing_is_said(folders: NnUNetFolders, tmp_path: Path) -> None:
    elsewhere = NnUNetFolders(tmp_path / "raw", tmp_path / "preprocessed", tmp_path / "results")
    with pytest.raises(InputError, match="train prepare"):
        plan_dataset(elsewhere, NAMES, "coarse", ["coarse_cpu"])
    with pytest.raises(InputError, match="train plan"):
        train(elsewhere, FitRun(NAMES, "coarse_cpu", "0", "cpu"))
    with pytest.raises(InputError, match="no such checkpoint"):
        finetune(elsewhere, FitRun(NAMES, "coarse_cpu", "all", "cpu"), tmp_path / "none.pth")
    with pytest.raises(InputError, match="expected one of"):
        train(elsewhere, FitRun(NAMES, "finest", "0", "cpu"))
