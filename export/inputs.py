"""The input channels of a configuration: their names in dataset.json, and nnU-Net's normalisation of each.

Source: nnunetv2/preprocessing/preprocessors/default_preprocessor.py (_normalize), normalization/default_normalization_schemes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.export.json_file import JsonObject
from flare_trt.kernels import Intensity

_SCHEMES: dict[str, Literal["ct", "zscore", "none", "range_0_1", "rgb_0_1"]] = {
    "CTNormalization": "ct",
    "ZScoreNormalization": "zscore",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "range_0_1",
    "RGBTo01Normalization": "rgb_0_1",
}


def inputs_of(plans: JsonObject, configuration: JsonObject, names: Sequence[str]) -> tuple[ChannelSpec, ...]:
    """One a channel. Raises ExportError for a normalisation that is not nnU-Net's, and for counts that do not agree."""
    schemes, masked = configuration.get("normalization_schemes", list), configuration.get("use_mask_for_norm", list)
    if not len(schemes) == len(masked) == len(names):
        raise ExportError(
            f"{configuration.where}: got {len(schemes)} normalization_schemes and {len(masked)} values of use_mask_for_norm, "
            f"expected {len(names)}, one for each channel of dataset.json ({', '.join(names)})"
        )
    return tuple(
        _input(plans, configuration, number, (name, scheme, mask))
        for number, (name, scheme, mask) in enumerate(zip(names, schemes, masked, strict=True))
    )


def _input(plans: JsonObject, configuration: JsonObject, number: int, described: tuple[str, Any, Any]) -> ChannelSpec:
    name, scheme, masked = described
    if not isinstance(scheme, str) or scheme not in _SCHEMES:
        raise ExportError(
            f"{configuration.where}.normalization_schemes: got {scheme!r} for channel {number} ({name}), expected one of "
            f"{', '.join(_SCHEMES)}: another scheme changes the image in its own way"
        )
    if not isinstance(masked, bool):
        raise ExportError(f"{configuration.where}.use_mask_for_norm: got {masked!r} for channel {number}, expected true or false")
    known = _SCHEMES[scheme]
    return ChannelSpec(name, known, _intensity(plans, number) if known == "ct" else None, masked and known == "zscore")


def _intensity(plans: JsonObject, number: int) -> Intensity:
    """Dataset-wide foreground statistics of a channel; plans of 2022 called the key _by_modality."""
    key = "foreground_intensity_properties_per_channel"
    if key not in plans.data:
        key = "foreground_intensity_properties_by_modality"
    values = plans.child(key).child(str(number))
    low, high, mean, std = (values.number(key) for key in ("percentile_00_5", "percentile_99_5", "mean", "std"))
    return Intensity(low, high, mean, std)
