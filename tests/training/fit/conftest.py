"""nnU-Net's look-up of trainers works in this environment, and its pools are threads."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import pytest

from flare_trt.engine.base.torchvision_import import mend_torchvision

#: Modules of nnU-Net that start processes for a folder's cases.
POOLED = (
    "experiment_planning.dataset_fingerprint.fingerprint_extractor",
    "experiment_planning.verify_dataset_integrity",
    "preprocessing.preprocessors.default_preprocessor",
    "training.nnUNetTrainer.nnUNetTrainer",
    "evaluation.evaluate_predictions",
)


@pytest.fixture(scope="session", autouse=True)
def importable_torchvision() -> None:
    mend_torchvision()


@pytest.fixture(scope="module")
def pools_are_threads(importable_torchvision: None) -> Iterator[None]:
    """Each process would import torch and nnU-Net anew, for cases that take a moment; what it does there is nnU-Net's alone."""
    threads = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    with pytest.MonkeyPatch.context() as patch:
        for name in POOLED:
            patch.setattr(import_module(f"nnunetv2.{name}"), "multiprocessing", threads)
        patch.setattr(import_module("nnunetv2.utilities.utils"), "Pool", ThreadPool)  # it forks, where threads run
        yield
