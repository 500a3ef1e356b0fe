"""Spline orders out of the resampling functions that plans.json names: nnU-Net's default one, its torch one, and none at all.

Source: nnunetv2/preprocessing/resampling (default_resampling.py, resample_torch.py, no_resampling.py). Any other function stops
the export: a bundle that silently differed from its plans would break the promise of mode=exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.passes.geometry import ANISOTROPY
from flare_trt.export.json_file import JsonObject

What = Literal["data", "probabilities", "seg"]
Kind = Literal["spline", "torch", "none"]
_KINDS: dict[str, Kind] = {
    "resample_data_or_seg_to_shape": "spline",
    "resample_torch_fornnunet": "torch",
    "no_resampling_hack": "none",
}
_SHARED = {"is_seg", "force_separate_z", "separate_z_anisotropy_threshold"}
_KNOWN = {
    "spline": _SHARED | {"order", "order_z"},
    "torch": _SHARED | {"num_threads", "memefficient_seg_resampling", "mode", "aniso_axis_mode"},
    "none": set[str](),
}
#: Settings that have one value here. For labels a majority of masks is not the largest of them.
_FIXED = {"separate_z_anisotropy_threshold": ANISOTROPY, "mode": "linear", "aniso_axis_mode": "nearest-exact"}


@dataclass(frozen=True)
class Orders:
    """Spline order in plane and along a separate axis; `separate_z` None lets the anisotropy decide."""

    order: int
    order_z: int
    separate_z: bool | None
    kind: Kind = "spline"


def orders_of(configuration: JsonObject, what: What) -> Orders:
    """How `what` is resampled. Raises ExportError for another function or setting."""
    function = configuration.get(f"resampling_fn_{what}", str)
    if function not in _KINDS:
        raise ExportError(
            f"{configuration.where}.resampling_fn_{what}: got {function!r}, expected one of {', '.join(_KINDS)}; another function "
            "gives other values"
        )
    kind, kwargs = _KINDS[function], configuration.child(f"resampling_fn_{what}_kwargs")
    if unknown := sorted(set(kwargs.data) - _KNOWN[kind]):
        raise ExportError(f"{kwargs.where}: got {', '.join(unknown)}, expected only {', '.join(sorted(_KNOWN[kind])) or 'none'}")
    if kind == "none":
        return Orders(0, 0, None, kind)
    _require(kwargs, "is_seg", what == "seg", False, "images and logits are not labels" if what != "seg" else "these are labels")
    for key, only in _FIXED.items():
        _require(kwargs, key, only, only, "another value changes what the network sees")
    if what == "seg":
        _require(kwargs, "memefficient_seg_resampling", False, False, "it leaves voxels without a label")
        _require(kwargs, "order_z", 0, 0, "labels are not mixed along the separate axis")
    # The defaults are the functions' own: force_separate_z is False in the spline one and None in torch's where the key is missing.
    separate = kwargs.data.get("force_separate_z", None if kind == "torch" else False)
    if kind == "torch":
        return Orders(1, 0, separate, kind)
    return Orders(kwargs.data.get("order", 3), kwargs.data.get("order_z", 0), separate, kind)


def require_together(configuration: JsonObject, others: dict[What, Orders]) -> None:
    """Check that the image's resampling fits that of the others. Raises ExportError."""
    image = orders_of(configuration, "data")
    for what, other in others.items():
        if (other.kind == "none" and image.kind != "none") or (what == "seg" and (other.kind == "none") != (image.kind == "none")):
            raise ExportError(
                f"{configuration.where}.resampling_fn_{what}: resamples {other.kind} and the images {image.kind}, expected both or "
                "neither to be left as they are: their grids would differ"
            )
        if image.kind != "none" and other.kind != "none" and image.separate_z != other.separate_z:
            raise ExportError(
                f"{configuration.where}: got force_separate_z {image.separate_z} for data and {other.separate_z} for {what}, "
                "expected the same"
            )


def _require(kwargs: JsonObject, key: str, only: Any, default: Any, why: str) -> None:
    got = kwargs.data.get(key, default)
    if got != only:
        raise ExportError(f"{kwargs.where}.{key}: got {got!r}, expected {only!r}: {why}")
