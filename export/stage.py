"""A StageSpec out of nnU-Net's plans: the same numbers that nnUNetPredictor works with, or a refusal that says why not.

Source: nnunetv2/utilities/plans_handling/plans_handler.py, nnunetv2/preprocessing/preprocessors/default_preprocessor.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from flare_trt.engine.base.errors import BundleError, ExportError
from flare_trt.engine.model.spec import NetworkFile, StageSpec
from flare_trt.export.configuration import as_volumes, is_of_slices
from flare_trt.export.dataset_json import input_names, outputs_of
from flare_trt.export.inputs import inputs_of
from flare_trt.export.json_file import JsonObject
from flare_trt.export.previous_stage import label_resampling, previous_labels
from flare_trt.export.readers import reader_of
from flare_trt.export.resampling import orders_of, require_together

#: Key of the configuration -> the only value that flare-trt follows, and what another one means.
_FOLLOWED = {
    "preprocessor_name": ("DefaultPreprocessor", "another preprocessor changes the image in its own way"),
}


def stage_of(
    plans: JsonObject, configuration: JsonObject, dataset: JsonObject, networks: tuple[NetworkFile, ...], orientation: str | None
) -> StageSpec:
    """The stage of a configuration; `orientation` None takes the image reader's. Raises ExportError. Mirror axes are left empty."""
    names = input_names(dataset)
    for check in stage_checks(plans, configuration, names, orientation):
        check()
    outputs, inputs = outputs_of(dataset), inputs_of(plans, configuration, names)
    image, logits = orders_of(configuration, "data"), orders_of(configuration, "probabilities")
    require_together(configuration, {"probabilities": logits})
    reader, turned_to = reader_of(plans, orientation)
    volumes = as_volumes(configuration)
    try:
        return StageSpec(
            networks=networks,
            spacing_mm=volumes.triple("spacing"),
            patch_zyx=volumes.sizes("patch_size"),
            slices=is_of_slices(configuration),
            intensity=inputs[0].intensity if len(inputs) == 1 else None,
            channels=() if len(inputs) == 1 and inputs[0].intensity is not None else inputs,
            previous=previous_labels(configuration, dataset),
            channel_values=outputs.channel_values,
            activation=outputs.activation,
            orientation=turned_to,
            reader=reader,
            transpose_forward=_transpose(plans),
            image_order=image.order,
            image_order_z=image.order_z,
            logits_order=logits.order,
            logits_order_z=logits.order_z,
            separate_z=image.separate_z,
            resampled=image.kind != "none",
            half_logits=logits.kind != "torch",
        )
    except BundleError as error:
        raise ExportError(f"{configuration.where}: cannot be followed: {error}") from error


def stage_checks(
    plans: JsonObject, configuration: JsonObject, names: Sequence[str] | None, orientation: str | None
) -> list[Callable[[], object]]:
    """What `stage_of` demands, one by one and independent of each other; `names` are the input channels',
    None where they are not known. Each call raises ExportError where it is not so."""
    return [
        *(partial(_require_followed, configuration, key) for key in _FOLLOWED),
        partial(_require_label_manager, plans),
        partial(orders_of, configuration, "data"),
        partial(orders_of, configuration, "probabilities"),
        partial(label_resampling, configuration),
        partial(reader_of, plans, orientation),
        lambda: as_volumes(configuration).triple("spacing"),
        lambda: as_volumes(configuration).sizes("patch_size"),
        *([] if names is None else [partial(inputs_of, plans, configuration, names)]),
        partial(_transpose, plans),
    ]


def _require_followed(configuration: JsonObject, key: str) -> None:
    expected, why = _FOLLOWED[key]
    got = configuration.data.get(key)
    if got != expected:
        raise ExportError(f"{configuration.where}.{key}: got {got!r}, expected {expected!r}: {why}")


def _require_label_manager(plans: JsonObject) -> None:
    manager = plans.data.get("label_manager", "LabelManager")
    if manager != "LabelManager":
        raise ExportError(f"plans.json: label_manager: got {manager!r}, expected 'LabelManager'")


def _transpose(plans: JsonObject) -> tuple[int, int, int]:
    forward, backward = plans.sizes("transpose_forward"), plans.sizes("transpose_backward")
    if sorted(forward) != [0, 1, 2] or any(backward[axis] != place for place, axis in enumerate(forward)):
        raise ExportError(f"plans.json: got transpose_forward {forward} and transpose_backward {backward}, expected inverses")
    return forward
