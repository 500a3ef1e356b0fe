"""Which network a checkpoint's weights belong to: the one that its trainer's class builds.

nnUNetPredictor asks the trainer for the network, and a trainer may build another one than plans.json says, even with the same
weights' shapes (another activation, another epsilon). So the class is asked here, too, where it can be imported from the
installed Python path or from where nnUNet_extTrainer points; never from the model folder, which is data. The trainers that are
known to follow plans.json need no class. Source: nnunetv2/inference/predict_from_raw_data.py.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.base.torchvision_import import mend_torchvision
from flare_trt.export.checkpoint import Checkpoint
from flare_trt.export.configuration import architecture_of, configuration_of
from flare_trt.export.json_file import JsonObject
from flare_trt.export.network import build_network

NetworkSource = Literal["trainer", "known trainer", "plans"]

#: nnU-Net 2.8.1's trainers that build what plans.json says: what follows "nnUNetTrainer" in their names.
_NNUNET = """
    | Adam Adam1en3 Adam3en4 Adan Adan1en1 Adan1en3 Adan3en4 AdanCosAnneal Benchmark_5epochs Benchmark_5epochs_noDataLoading
    CELoss CELoss_5epochs CosAnneal DA5 DA5Segord0 DA5_10epochs DA5ord0 DiceCELoss_noSmooth DiceLoss DiceTopK10Loss NoDA
    NoDeepSupervision NoMirroring Topk10Loss Topk10LossLS01 VanillaAdam VanillaAdam1en3 VanillaAdam3en4 _1epoch _5epochs _10epochs
    _20epochs _50epochs _100epochs _250epochs _250epochs_NoMirroring _500epochs _750epochs _2000epochs _2000epochs_NoMirroring
    _4000epochs _4000epochs_NoMirroring _8000epochs _8000epochs_NoMirroring _DASegOrd0 _DASegOrd0_NoMirroring _noDummy2DDA
    _onlyMirror01 _onlyMirror01_1500ep _onlyMirror01_DA5 _onlyMirror01_DASegOrd0 _probabilisticOversampling
    _probabilisticOversampling_010 _probabilisticOversampling_033 _warmup
"""
_OURS = "FlareTrainer FlareFinetuneTrainer FlareMiniTrainer FlareMiniFinetuneTrainer"  # training/fit/trainers
#: Trainers whose class need not be asked.
PLAN_TRAINERS = frozenset(_OURS.split()) | {f"nnUNetTrainer{rest.strip('|')}" for rest in _NNUNET.split()}


@dataclass(frozen=True)
class NetworkMaker:
    """Builds a model folder's network, without weights, and says by what. `difference` to the one of plans.json, or None."""

    build: Callable[[], Any]
    source: NetworkSource
    described_by: str
    difference: str | None = None


@dataclass(frozen=True)
class Ends:
    """Input channels and output channels of a network."""

    channels: int
    heads: int


def network_maker(plans: JsonObject, checkpoint: Checkpoint, ends: Ends, folder: Path, plans_only: bool) -> NetworkMaker:
    """How to build the network of a checkpoint; `plans_only` is the user's word that plans.json describes it.

    Raises ExportError where nobody can say which network it is.
    """
    architecture = architecture_of(configuration_of(plans, checkpoint.configuration))
    by_plans = NetworkMaker(lambda: build_network(architecture, ends.heads, ends.channels), "plans", "plans.json")
    if plans_only:
        return by_plans
    trainer, missing = find_trainer(checkpoint.trainer, folder)
    if trainer is None and checkpoint.trainer in PLAN_TRAINERS:
        return NetworkMaker(by_plans.build, "known trainer", by_plans.described_by)
    if trainer is None:
        raise ExportError(
            f"checkpoint: trained by {checkpoint.trainer!r}, which is no trainer of nnU-Net's that follows plans.json and cannot "
            f"be imported here ({missing}), so its network may differ from plans.json; install nnunetv2 with that trainer (or "
            "point nnUNet_extTrainer to it), or, where you know that it changes the training alone, say --network-from plans"
        )
    expected = by_plans.build()  # first: names in plans.json are looked up in tables here, and imported by nnU-Net

    def build() -> Any:
        return _built_by(trainer, plans, checkpoint.configuration, ends)

    difference = _difference(expected, build(), (ends.channels, architecture.kwargs.get("strides", [])))
    return NetworkMaker(build, "trainer", f"the trainer {checkpoint.trainer}", difference)


def find_trainer(name: str, folder: Path) -> tuple[Any, str]:
    """The class that nnU-Net would take, or None and why there is none.

    Raises ExportError where it would be looked for in the model folder.
    """
    for place in filter(None, os.environ.get("nnUNet_extTrainer", "").split(os.pathsep)):  # noqa: SIM112  # nnU-Net's name
        outside, inside = Path(place).resolve(), folder.resolve()
        if outside.is_relative_to(inside) or inside.is_relative_to(outside):
            raise ExportError(
                f"nnUNet_extTrainer: {place} overlaps the model folder {folder}; code is not run from there, move it away"
            )
    try:
        mend_torchvision()
        from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

        with contextlib.redirect_stdout(io.StringIO()):
            return recursive_find_trainer_class_by_name(name), ""
    except Exception as error:  # noqa: BLE001  # not found is a RuntimeError; modules of other trainers, searched too, raise anything
        return None, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _built_by(trainer: Any, plans: JsonObject, configuration: str, ends: Ends) -> Any:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(copy.deepcopy(plans.data))  # trainers change it
    chosen = manager.get_configuration(configuration)
    build = trainer.build_network_architecture
    described: tuple[Any, ...] = (manager, chosen)
    if "plans_manager" not in inspect.signature(build).parameters:  # as it was until 2.8
        kwargs = chosen.network_arch_init_kwargs
        described = chosen.network_arch_class_name, kwargs, chosen.network_arch_init_kwargs_req_import
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return build(*described, ends.channels, ends.heads, enable_deep_supervision=False)
    except Exception as error:  # its code may raise anything
        raise ExportError(
            f"trainer {trainer.__name__}: its network cannot be built: {type(error).__name__}: {error}; if it changes the training "
            "alone, say --network-from plans"
        ) from error


def _difference(expected: Any, network: Any, takes: tuple[int, list[list[int]]]) -> str | None:
    """The first module that is not as in plans.json, or a word on other logits; None where both are the same network.

    `takes`: input channels and strides.
    """
    for (name, wanted), (other, got) in zip(_modules(expected), _modules(network), strict=False):
        if (name, wanted) != (other, got):
            return f"{other} is {got}, plans.json says {wanted} ({name})"
    counts = len(_modules(expected)), len(_modules(network))
    if counts[0] != counts[1]:
        return f"it has {counts[1]} modules, plans.json says {counts[0]}"
    return None if _same_logits(expected, network, takes) else "the same modules give other logits"


def _modules(network: Any) -> list[tuple[str, str]]:
    return [(name, f"{type(module).__name__}({module.extra_repr()})") for name, module in network.named_modules()]


def _same_logits(expected: Any, network: Any, takes: tuple[int, list[list[int]]]) -> bool:
    import numpy as np
    import torch

    channels, strides = takes
    network.load_state_dict(expected.state_dict())
    stages = np.reshape(strides, (len(strides), -1))
    smallest = 2 * np.prod(stages if stages.shape[1] > 1 else np.repeat(stages, 3, axis=1), axis=0)
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((1, channels, *smallest), np.float32))
    with torch.inference_mode():
        wanted, got = (module.eval()(image) for module in (expected, network))
    return isinstance(got, torch.Tensor) and got.shape == wanted.shape and bool(torch.allclose(got, wanted, rtol=1e-4, atol=1e-5))
