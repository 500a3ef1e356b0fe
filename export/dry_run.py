"""Everything that stands in the way of an export, at once; nothing is exported, compared or written but a zip's temporary files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.model.bundle_writer import require_replaceable
from flare_trt.engine.model.spec import NetworkFile
from flare_trt.export.calibrate import Calibration
from flare_trt.export.checkpoint import Checkpoint, load_checkpoint
from flare_trt.export.configuration import configuration_of
from flare_trt.export.dataset_json import Outputs, input_names, outputs_of, require_known_names, require_same_labels
from flare_trt.export.json_file import JsonObject, read_object
from flare_trt.export.model_folder import checkpoint_file, checkpoints_of, require_checkpoint, require_model_folder
from flare_trt.export.model_zip import is_in_zip, unpack_model
from flare_trt.export.network import load_weights
from flare_trt.export.nnunet import About, TrainedModel, require_alike
from flare_trt.export.postprocessing import read_postprocessing
from flare_trt.export.previous_stage import previous_folder, previous_labels
from flare_trt.export.stage import stage_checks, stage_of
from flare_trt.export.trainers import Ends, NetworkMaker, network_maker

T = TypeVar("T")
_SOME_HEADS = 2  # stand in where dataset.json does not say how many labels there are


@dataclass(frozen=True)
class _Trained:
    """What was read of a folder: the first fold's checkpoint, the others' files, the input channels' names and those of labels."""

    plans: JsonObject
    first: Checkpoint
    others: Sequence[Path]
    outputs: Outputs | None
    names: Sequence[str] | None
    label_inputs: int


@dataclass
class _Findings:
    """What failed so far, each once, in the order of the checks; of a cascaded configuration what it needs of the stage before."""

    lines: list[str] = field(default_factory=list)
    previous: Path | None = None  # its folder
    label_inputs: int = 0

    def attempt(self, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except FlareError as error:
            if str(error) not in self.lines:
                self.lines.append(str(error))
            return None


def obstacles(fine: TrainedModel, coarse: TrainedModel | None, about: About, destination: Path | None) -> tuple[str, ...]:
    """What an export would stop at, one line each; none: only the comparison of logits is left to be seen."""
    found = _Findings()
    if destination is not None:
        found.attempt(lambda: require_replaceable(destination))
    if about.calibrate is not None:
        found.attempt(partial(Calibration, about.calibrate))
    lines, start = [*found.lines], len(found.lines)
    named: list[Outputs | None] = []
    cascaded = False
    models = [("fine", fine, fine.folder if coarse is None else None), ("coarse", coarse, None)]
    while models:
        name, model, beside = models.pop(0)
        if model is None:
            continue
        own = _Findings()
        named.insert(0, _of_model(model, own, beside))
        lines[start:start] = [f"{name}: {line}" for line in own.lines]
        cascaded |= own.label_inputs > 0
        if own.previous is not None:
            models = [("coarse", replace(model, folder=own.previous), None)]
    between, known = _Findings(), named[-1]
    if known is not None:
        if len(named) == 2 and (first := named[0]) is not None:
            require = require_known_names if not cascaded else require_same_labels
            between.attempt(lambda: require(first.names, known.names))
        if (rules := about.postprocessing) is not None:
            between.attempt(lambda: read_postprocessing(rules, known.names))
    return (*lines, *between.lines)


def _of_model(model: TrainedModel, found: _Findings, beside: Path | None) -> Outputs | None:
    if not is_in_zip(model.folder):
        return _of_folder(model, found, beside)
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        unpacked = found.attempt(lambda: unpack_model(model.folder, checkpoint_file(model.checkpoint), Path(temporary)))
        outputs = None if unpacked is None else _of_folder(replace(model, folder=unpacked), found, beside)
    found.lines[:] = [line.replace(str(unpacked), str(model.folder)) for line in found.lines]
    return outputs


def _of_folder(model: TrainedModel, found: _Findings, beside: Path | None) -> Outputs | None:
    """The labels, where dataset.json says them. A cascade's first stage is looked for `beside` a path, None where it is known."""
    folder = model.folder
    if found.attempt(lambda: require_model_folder(folder)) is None and not (folder / "dataset.json").is_file():
        return None  # no model folder at all: one line is enough
    plans = found.attempt(lambda: read_object(folder / "plans.json")) if (folder / "plans.json").is_file() else None
    dataset = found.attempt(lambda: read_object(folder / "dataset.json"))
    names = None if dataset is None else found.attempt(lambda: input_names(dataset))
    outputs = None if dataset is None else found.attempt(lambda: outputs_of(dataset))
    checkpoints = found.attempt(lambda: checkpoints_of(folder, model.folds, model.checkpoint)) or ()
    files = [file for file in checkpoints if found.attempt(partial(require_checkpoint, file)) is not None]
    first = found.attempt(lambda: load_checkpoint(files[0])) if files else None
    if plans is not None:
        name = _configuration_name(first, folder)
        if name is not None:
            _of_plans(plans, name, (names, dataset if outputs else None), model.orientation, found, beside)
        if first is not None:
            _of_networks(_Trained(plans, first, files[1:], outputs, names, found.label_inputs), model, found)
    return outputs


def _configuration_name(first: Checkpoint | None, folder: Path) -> str | None:
    """What the checkpoint says, else the last part of trainer__plans__configuration."""
    parts = folder.name.split("__")
    return first.configuration if first is not None else parts[2] if len(parts) == 3 else None


def _of_plans(
    plans: JsonObject,
    name: str,
    described: tuple[Sequence[str] | None, JsonObject | None],
    orientation: str | None,
    found: _Findings,
    beside: Path | None,
) -> None:
    """`described`: the input channels' names, and dataset.json where nothing is wrong with its labels."""
    names, dataset = described
    configuration = found.attempt(lambda: configuration_of(plans, name))
    if configuration is None:
        return
    if beside is not None:
        found.previous = found.attempt(lambda: previous_folder(beside, configuration))
    if dataset is not None and (labels := found.attempt(lambda: previous_labels(configuration, dataset))) is not None:
        found.label_inputs = len(labels.values)
    before = len(found.lines)
    for check in stage_checks(plans, configuration, names, orientation):
        found.attempt(check)
    if dataset is not None and names is not None and len(found.lines) == before:
        found.attempt(lambda: stage_of(plans, configuration, dataset, (NetworkFile("fine.onnx"),), orientation))


def _of_networks(trained: _Trained, model: TrainedModel, found: _Findings) -> None:
    """The trainer and, where nothing else is wrong, whether each fold's weights fit its network."""
    first, outputs = trained.first, trained.outputs
    ends = Ends(len(trained.names or "1") + trained.label_inputs, _SOME_HEADS if outputs is None else len(outputs.channel_values))
    maker = found.attempt(lambda: network_maker(trained.plans, first, ends, model.folder, model.plans_only))
    sound = maker is not None and not found.lines
    if maker is not None and sound:
        found.attempt(lambda: load_weights(maker.build(), first.weights, maker.described_by))
    for file in trained.others:
        checkpoint = found.attempt(partial(load_checkpoint, file))
        if checkpoint is None:
            continue
        found.attempt(partial(require_alike, checkpoint, first, file))
        if maker is not None and sound:
            found.attempt(partial(_fits, maker, checkpoint, file))


def _fits(maker: NetworkMaker, checkpoint: Checkpoint, file: Path) -> Any:
    return load_weights(maker.build(), checkpoint.weights, f"{maker.described_by} ({file.parent.name})")
