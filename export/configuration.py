"""One configuration of plans.json: inheritance resolved, old formats translated.

Source: nnunetv2/utilities/plans_handling/plans_handler.py, PlansManager and ConfigurationManager.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.json_file import JsonObject


@dataclass(frozen=True)
class Architecture:
    """A network's class and arguments. `kwargs` named in `imported` hold the dotted name of a torch class, or None."""

    class_name: str
    kwargs: dict[str, Any]
    imported: tuple[str, ...]


def configuration_of(plans: JsonObject, name: str) -> JsonObject:
    """The configuration with all that it inherits. Raises ExportError for an unknown name or a circle."""
    known = plans.get("configurations", dict)
    merged: dict[str, Any] = {}
    visited: list[str] = []
    following: str | None = name
    while following is not None:
        if not isinstance(following, str) or following not in known:
            raise ExportError(f"plans.json: got the configuration {following!r}, expected one of {', '.join(known)}")
        if following in visited:
            raise ExportError(f"plans.json: inherits_from runs in a circle: {' > '.join([*visited, following])}")
        visited.append(following)
        data = plans.child("configurations").child(following).data
        merged = {**data, **merged}
        following = data.get("inherits_from")
    return JsonObject(merged, f"plans.json: configurations.{name}")


def is_of_slices(configuration: JsonObject) -> bool:
    """Whether it is a 2d configuration: its patch and spacing have two axes."""
    return len(configuration.numbers("patch_size")) == len(configuration.numbers("spacing")) == 2


def as_volumes(configuration: JsonObject) -> JsonObject:
    """A 2d configuration with a patch of one slice, whose spacing stands for nothing; any other as it is."""
    if not is_of_slices(configuration):
        return configuration
    added = {"patch_size": [1, *configuration.data["patch_size"]], "spacing": [1.0, *configuration.data["spacing"]]}
    return JsonObject({**configuration.data, **added}, configuration.where)


def architecture_of(configuration: JsonObject) -> Architecture:
    """The network of a configuration."""
    if "architecture" not in configuration.data:
        return _old_architecture(configuration)
    described = configuration.child("architecture")
    imported = described.get("_kw_requires_import", list)
    return Architecture(described.get("network_class_name", str), described.get("arch_kwargs", dict), tuple(imported))


def _old_architecture(configuration: JsonObject) -> Architecture:
    """What nnU-Net builds from plans of 2023, which named a class and counted features instead of listing them."""
    name = configuration.get("UNet_class_name", str)
    encoder = configuration.get("n_conv_per_stage_encoder", list)
    base, most = configuration.get("UNet_base_num_features", int), configuration.get("unet_max_num_features", int)
    depth = "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"
    axes = f"{len(configuration.numbers('patch_size'))}d"
    kwargs = {
        "n_stages": len(encoder),
        "features_per_stage": [min(base * 2**stage, most) for stage in range(len(encoder))],
        "conv_op": f"torch.nn.modules.conv.Conv{axes}",
        "kernel_sizes": configuration.get("conv_kernel_sizes", list),
        "strides": configuration.get("pool_op_kernel_sizes", list),
        depth: encoder,
        "n_conv_per_stage_decoder": configuration.get("n_conv_per_stage_decoder", list),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    return Architecture(name, kwargs, ("conv_op", "norm_op", "dropout_op", "nonlin"))
