"""What a client of the Triton models does before and after each call, with a bundle's own numbers."""

from __future__ import annotations

from collections.abc import Sequence

from flare_trt.engine.model.spec import ModelSpec, StageSpec

_PLAN = """## TensorRT

Triton's ONNX Runtime backend runs the networks as they are. For TensorRT, either add this to a `config.pbtxt`,

    optimization { execution_accelerators { gpu_execution_accelerator: [ {
      name: "tensorrt" parameters { key: "precision_mode" value: "FP32" } } ] } }

or build a plan on the very GPU that serves it (`trtexec --onnx=model.onnx --saveEngine=model.plan`), put it in the place of
`model.onnx` and set `platform: "tensorrt_plan"`. In FP16 keep the networks' InstanceNorm layers in FP32: their sums leave
its range.
"""


def readme(spec: ModelSpec, models: Sequence[str]) -> str:
    """The repository's README.md; `models` are rows of a table (model, inputs, outputs)."""
    stages = [] if spec.coarse is None else [_stage("coarse", spec.coarse)]
    return "\n".join(
        [
            f"# {spec.name} for NVIDIA Triton\n",
            f"Research software, not a medical device. Weights: {spec.provenance.source}, licence: {spec.provenance.licence}.\n",
            "| model | input | output |\n|---|---|---|",
            *models,
            "\nA model answers one tile of one scan with its logits. All around it is the client's. `bundle.json` beside this file "
            "holds every number below and more, for programs; flare-trt's `engine/` does all of it.\n",
            *stages,
            _stage("fine", spec.fine),
            _cascade(spec),
            "## Labels\n\n| value | structure |\n|---|---|\n| 0 | background |",
            *(f"| {label.value} | {label.name} |" for label in spec.labels),
            "",
            _PLAN,
        ]
    )


def _stage(name: str, stage: StageSpec) -> str:
    spacing = stage.spacing_told
    patch = " x ".join(map(str, stage.patch_zyx))
    steps = [
        _orientation(stage),
        *(["Crop the scan to the box of its voxels that are not 0."] if stage.crop_nonzero else []),
        *(f"{channel.name}: {channel.told}." for channel in stage.inputs),
        f"Resample to {spacing} mm with splines of order {stage.image_order}, shape to shape, as nnU-Net does.",
        *_labels_before(stage),
        f"Pad with 0 to at least {patch}; cut into tiles of {patch} voxels, with a step of {stage.tile_step:g} tile.",
        f"Ask {_models(stage)} for each tile; weight the logits with a Gaussian, its standard deviation an eighth of the tile, "
        "add up, divide by the summed weights.",
        f"Resample the logits to the scan's grid (order {stage.logits_order}) and take {_decision(stage)}",
    ]
    lines = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"## Stage {name}\n\n{lines}\n"


def _labels_before(stage: StageSpec) -> list[str]:
    if stage.previous is None:
        return []
    values = ", ".join(map(str, stage.previous.values))
    return [f"Add one channel for each of the labels {values} of stage coarse, resampled to the same grid: 1 where it is, else 0."]


def _orientation(stage: StageSpec) -> str:
    turned = "as it is stored" if stage.orientation == "as-stored" else f"turned so that its axes (z, y, x) run {stage.orientation}"
    axes = "" if stage.transpose_forward == (0, 1, 2) else f", then transposed by {stage.transpose_forward}"
    return f"Take the scan in HU {turned}{axes}."


def _models(stage: StageSpec) -> str:
    names = [f"`{network.file.removesuffix('.onnx')}`" for network in stage.networks]
    return names[0] if len(names) == 1 else f"each of {', '.join(names)}, averaging their logits,"


def _decision(stage: StageSpec) -> str:
    values = ", ".join(map(str, stage.channel_values))
    if stage.activation == "argmax":
        return f"the largest channel; channels stand for the labels {values}."
    return f"channels whose logit is over 0, painted in their order with the labels {values}."


def _cascade(spec: ModelSpec) -> str:
    if spec.coarse is None or spec.fine.previous is not None:
        return ""
    low, high = (" x ".join(f"{mm:g}" for mm in margin) for margin in (spec.roi.margin_low_mm, spec.roi.margin_high_mm))
    return (
        "Stage fine looks only at the box around what stage coarse found (largest piece of each organ, specks left out), "
        f"wider by {low} mm on the low and {high} mm on the high side of (z, y, x).\n"
    )
