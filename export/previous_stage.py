"""nnU-Net's cascade: what a configuration sees of the stage before it, and where that one was trained.

Source: nnunetv2/experiment_planning/experiment_planners/default_experiment_planner.py (previous_stage),
nnunetv2/utilities/label_handling/label_handling.py (determine_num_input_channels).
"""

from __future__ import annotations

import re
from pathlib import Path

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.channel_spec import LabelInput
from flare_trt.export.dataset_json import foreground_labels
from flare_trt.export.json_file import JsonObject
from flare_trt.export.model_zip import has_plans
from flare_trt.export.resampling import Orders, orders_of, require_together

_NAME = re.compile(r"[\w.-]+")


def previous_name(configuration: JsonObject) -> str | None:
    """The configuration whose labels this one takes as input, None for a plain one. Raises ExportError."""
    name = configuration.data.get("previous_stage")
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ExportError(f"{configuration.where}.previous_stage: got {name!r}, expected the name of a configuration")
    return name


def previous_labels(configuration: JsonObject, dataset: JsonObject) -> LabelInput | None:
    """The labels that a cascaded configuration takes as input, None for a plain one. Raises ExportError."""
    found = label_resampling(configuration)
    return None if found is None else LabelInput(foreground_labels(dataset), found.order, found.kind == "torch")


def label_resampling(configuration: JsonObject) -> Orders | None:
    """How a cascaded configuration resamples its input labels, None for a plain one. Raises ExportError."""
    if previous_name(configuration) is None:
        return None
    found = orders_of(configuration, "seg")
    require_together(configuration, {"seg": found})
    if found.order not in (0, 1):
        raise ExportError(f"{configuration.where}.resampling_fn_seg_kwargs.order: got {found.order}, expected 0 or 1 for labels")
    return found


def previous_folder(folder: Path, configuration: JsonObject) -> Path | None:
    """The model folder of the stage before, beside `folder`, as nnU-Net lays results out; None for a plain configuration.

    `folder` may lie in a zip. Raises ExportError where it is not there.
    """
    name = previous_name(configuration)
    if name is None:
        return None
    wanted = folder.with_name(f"{folder.name.rpartition('__')[0]}__{name}")
    if not has_plans(wanted):
        raise ExportError(
            f"{configuration.where}: takes the labels of {name} as input: got no trained folder {wanted}, expected one there; copy "
            f"it beside {folder.name}, or name both: --coarse FOLDER_OF_{name} --fine {folder}"
        )
    return wanted
