"""From trained nnU-Net v2 folders to a bundle: one folder makes a single stage, two make coarse and fine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.model.bundle_writer import require_replaceable, write_bundle
from flare_trt.engine.model.spec import SCHEMA, BarredBackend, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.engine.networks.device_choice import CPU_BACKENDS
from flare_trt.export.calibrate import Calibration
from flare_trt.export.checkpoint import Checkpoint, load_checkpoint
from flare_trt.export.colours import label_specs
from flare_trt.export.configuration import configuration_of
from flare_trt.export.dataset_json import outputs_of, require_known_names, require_same_labels
from flare_trt.export.lifted import lifted
from flare_trt.export.model_folder import CheckpointKind, ModelFolder, checkpoint_file, open_model_folder
from flare_trt.export.model_zip import is_in_zip, unpack_model
from flare_trt.export.network import load_weights
from flare_trt.export.postprocessing import read_postprocessing
from flare_trt.export.previous_stage import previous_folder
from flare_trt.export.stage import stage_of
from flare_trt.export.to_onnx import write_onnx
from flare_trt.export.trainers import Ends, NetworkSource, network_maker
from flare_trt.export.verify import (
    CheckDepth,
    CheckPlan,
    Verified,
    torch_reference,
    verify_graph,
    verify_logits,
)

#: Called with a line about what is being done.
Tell = Callable[[str], None]
_LEAST_SURE: tuple[NetworkSource, ...] = ("plans", "known trainer", "trainer")


@dataclass(frozen=True)
class TrainedModel:
    """A model folder, or nnU-Net's zip of one (`model_zip.py`), and what of it is wanted.

    No folds: all numbered ones. No orientation: the one of its image reader.

    `plans_only` is the user's word that plans.json describes the network, whatever the trainer (`trainers.py`).
    """

    folder: Path
    folds: tuple[str, ...] = ()
    checkpoint: CheckpointKind = "final"
    orientation: str | None = None
    plans_only: bool = False


@dataclass(frozen=True)
class About:
    """What the user says about the bundle. No name: the dataset's. `postprocessing` is nnU-Net's postprocessing.json.

    `calibrate` is a folder of CTs that int8 networks are made on; without it there are none.
    """

    licence: str
    name: str | None = None
    postprocessing: Path | None = None
    calibrate: Path | None = None


@dataclass(frozen=True)
class ExportedStage:
    """A stage with its network files, the names of its labels, what built its network, and what was measured."""

    stage: StageSpec
    files: dict[str, Path]
    names: dict[int, str]
    dataset: str
    source: str
    network_from: NetworkSource
    verified: Verified
    previous: Path | None = None  # the folder of nnU-Net's stage before it


def export_nnunet(
    fine: TrainedModel, coarse: TrainedModel | None, about: About, destination: Path, tell: Tell, depth: CheckDepth = "full"
) -> ModelSpec:
    """Export, verify and write a bundle; nothing is written where no backend gives the network's logits.

    A backend that misses a limit is barred in the bundle, with the reason. Raises ExportError, OutputError.
    """
    require_replaceable(destination)
    calibration = None if about.calibrate is None else Calibration(about.calibrate)
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
        plan = CheckPlan(depth, tell)
        found = export_stage(fine, "fine", Path(temporary), plan, fine.folder if coarse is None else None)
        before = replace(fine, folder=found.previous) if coarse is None and found.previous is not None else coarse
        first = None if before is None else export_stage(before, "coarse", Path(temporary), plan)
        stages = [found] if first is None else [first, found]
        rules = () if about.postprocessing is None else read_postprocessing(about.postprocessing, found.names)
        spec = ModelSpec(
            schema=SCHEMA,
            name=about.name or found.dataset,
            labels=label_specs(found.names),
            fine=found.stage,
            coarse=None if first is None else _first_stage(first, found),
            postprocessing=rules,
            provenance=Provenance(
                source="nnU-Net v2: " + "; ".join(stage.source for stage in stages),
                licence=about.licence,
                exported_by=f"flare-trt {VERSION}",
                checks=tuple(check for stage in stages for check in stage.verified.checks),
                checked=depth,
                network_from=min((stage.network_from for stage in stages), key=_LEAST_SURE.index),
            ),
            barred=_barred(stages),
        )
        files = {name: path for stage in stages for name, path in stage.files.items()}
        if calibration is not None:
            spec, files = calibration.applied(spec, files, Path(temporary), tell)
        return write_bundle(spec, files, destination)


def _barred(stages: Sequence[ExportedStage]) -> tuple[BarredBackend, ...]:
    """Each backend once. Raises ExportError where none is left."""
    barred = {bar.backend: bar for stage in stages for bar in stage.verified.barred}
    if barred.keys() >= set(CPU_BACKENDS):
        raise ExportError(f"{'; '.join(bar.reason for bar in barred.values())}; no backend runs all networks, nothing was written")
    return tuple(barred.values())


def export_stage(model: TrainedModel, stage_name: str, folder: Path, plan: CheckPlan, beside: Path | None = None) -> ExportedStage:
    """Write the ONNX files of one model folder's folds into `folder` and verify each. Raises ExportError.

    The folder of the stage before a cascaded one is looked for `beside` a path; None where it is not needed.
    """
    if is_in_zip(model.folder):
        with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary:
            unpacked = unpack_model(model.folder, checkpoint_file(model.checkpoint), Path(temporary))
            try:
                return export_stage(replace(model, folder=unpacked), stage_name, folder, plan, beside)
            except ExportError as error:  # the user knows the zip, and not where it was unpacked to
                raise ExportError(str(error).replace(str(unpacked), str(model.folder))) from error
    return _export_folder(model, stage_name, folder, plan, beside)


def _export_folder(model: TrainedModel, stage_name: str, folder: Path, plan: CheckPlan, beside: Path | None) -> ExportedStage:
    trained = open_model_folder(model.folder, model.folds, model.checkpoint)
    first = load_checkpoint(trained.checkpoints[0])
    outputs = outputs_of(trained.dataset)
    configuration = configuration_of(trained.plans, first.configuration)
    before = None if beside is None else previous_folder(beside, configuration)
    single = len(trained.folds) == 1
    networks = tuple(NetworkFile(f"{stage_name}.onnx" if single else f"{stage_name}_fold_{fold}.onnx") for fold in trained.folds)
    stage = stage_of(trained.plans, configuration, trained.dataset, networks, model.orientation)
    ends = Ends(stage.input_channels, len(stage.channel_values))
    maker = network_maker(trained.plans, first, ends, model.folder, model.plans_only)
    if maker.difference is not None:
        plan.tell(
            f"{stage_name}: {maker.described_by} builds another network than plans.json, which is exported: {maker.difference}"
        )
    verified = Verified(())
    for file, network_file in zip(trained.checkpoints, networks, strict=True):
        checkpoint = load_checkpoint(file)
        require_alike(checkpoint, first, file)
        path = folder / network_file.file
        plan.tell(f"{stage_name}: {file.parent.name}: exporting to ONNX, then comparing with torch")
        network = load_weights(maker.build(), checkpoint.weights, maker.described_by)
        network = lifted(network) if stage.slices else network
        write_onnx(network, stage.patch_zyx, path, stage.input_channels)
        verify_graph(path, stage)
        verified += verify_logits(path, stage, torch_reference(network), plan)
    return ExportedStage(
        stage=replace(stage, mirror_axes=tuple(axis + stage.slices for axis in first.mirror_axes)),
        files={network.file: folder / network.file for network in networks},
        names=outputs.names,
        dataset=trained.plans.get("dataset_name", str),
        source=_source(trained, first, model),
        network_from=maker.source,
        verified=verified,
        previous=before,
    )


def require_alike(checkpoint: Checkpoint, first: Checkpoint, file: Path) -> None:
    """Check that two folds are of one configuration and trainer. Raises ExportError."""
    if checkpoint.configuration != first.configuration:
        raise ExportError(
            f"{file}: got the configuration {checkpoint.configuration!r}, expected the first fold's {first.configuration!r}"
        )
    if checkpoint.trainer != first.trainer:
        raise ExportError(f"{file}: got the trainer {checkpoint.trainer!r}, expected the first fold's {first.trainer!r}")


def _source(trained: ModelFolder, checkpoint: Checkpoint, model: TrainedModel) -> str:
    dataset, plans = trained.plans.get("dataset_name", str), trained.plans.get("plans_name", str)
    folds = " ".join(trained.folds)
    return f"{dataset}, {checkpoint.trainer}, {plans}, {checkpoint.configuration}, fold {folds}, checkpoint {model.checkpoint}"


def _first_stage(coarse: ExportedStage, fine: ExportedStage) -> StageSpec:
    """The coarse stage with the fine stage's label values: both nets have to mean the same by a name, not by a number.

    Of nnU-Net's cascade the second network has learned the first one's numbers.
    """
    values = {name: value for value, name in fine.names.items()}
    if fine.stage.previous is not None:
        require_same_labels(coarse.names, fine.names)
    require_known_names(coarse.names, fine.names)
    channel_values = tuple(values[coarse.names[value]] if value else 0 for value in coarse.stage.channel_values)
    return replace(coarse.stage, channel_values=channel_values)
