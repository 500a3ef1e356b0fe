"""Spline orders out of the resampling functions that plans.json names.

Only nnU-Net's default function is followed (nnunetv2/preprocessing/resampling/default_resampling.py); the torch one gives other
values, and a bundle that silently differed from its plans would break the promise of mode=exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.passes.geometry import ANISOTROPY
from flare_trt.export.json_file import JsonObject

_DEFAULT = "resample_data_or_seg_to_shape"
_KNOWN = {"is_seg", "order", "order_z", "force_separate_z", "separate_z_anisotropy_threshold"}


@dataclass(frozen=True)
class Orders:
    """Spline order in plane and along a separate axis; `separate_z` None lets the anisotropy decide."""

    order: int
    order_z: int
    separate_z: bool | None


def orders_of(configuration: JsonObject, what: str) -> Orders:
    """Orders of `what` = "data" or "probabilities". Raises ExportError for another function or setting."""
    function = configuration.get(f"resampling_fn_{what}", str)
    if function != _DEFAULT:
        raise ExportError(
            f"{configuration.where}.resampling_fn_{what}: got {function!r}, expected {_DEFAULT!r}; resample_torch and other "
            "functions give other values and are not supported"
        )
    kwargs = configuration.child(f"resampling_fn_{what}_kwargs")
    unknown = sorted(set(kwargs.data) - _KNOWN)
    if unknown:
        raise ExportError(f"{kwargs.where}: got {', '.join(unknown)}, expected only {', '.join(sorted(_KNOWN))}")
    if kwargs.data.get("is_seg", False):
        raise ExportError(f"{kwargs.where}.is_seg: got true, expected false: images and logits are not labels")
    threshold = kwargs.data.get("separate_z_anisotropy_threshold", ANISOTROPY)
    if threshold != ANISOTROPY:
        raise ExportError(f"{kwargs.where}.separate_z_anisotropy_threshold: got {threshold}, expected {ANISOTROPY:g}")
    # The defaults are the function's own: note force_separate_z=False where the key is missing, None where it is null.
    separate = kwargs.data.get("force_separate_z", False)
    return Orders(kwargs.data.get("order", 3), kwargs.data.get("order_z", 0), separate)
