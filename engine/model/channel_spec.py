"""What a bundle says about a network's input channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flare_trt.engine.base.errors import BundleError
from flare_trt.kernels import Intensity


@dataclass(frozen=True)
class ChannelSpec:
    """One input channel and how nnU-Net's `scheme` normalises its voxels (nnunetv2/preprocessing/normalization).

    "ct" clips and scales with the data set's `intensity`, which no other scheme has. "zscore" takes mean and standard deviation
    of this very scan; with `masked` only of what its border of zeros encloses, and what lies outside stays 0. "range_0_1" maps
    the scan's own range to [0, 1], "rgb_0_1" [0, 255], and "none" changes nothing.
    """

    name: str
    scheme: Literal["ct", "zscore", "none", "range_0_1", "rgb_0_1"]
    intensity: Intensity | None = None
    masked: bool = False

    def __post_init__(self) -> None:
        require_field(
            (self.scheme == "ct") == (self.intensity is not None), "intensity", self.intensity, "one for each ct channel alone"
        )
        if self.intensity is not None:
            require_field(self.intensity.low_hu < self.intensity.high_hu, "intensity", self.intensity, "low_hu < high_hu")
        require_field(not self.masked or self.scheme == "zscore", "masked", self.masked, "true for zscore alone")

    @property
    def told(self) -> str:
        """What is done to the voxels, in words."""
        if self.intensity is not None:
            values = self.intensity
            return f"clip to {values.low_hu:g} .. {values.high_hu:g} HU, subtract {values.mean_hu:g}, divide by {values.std_hu:g}"
        where = "of what the scan's border of zeros encloses, which alone is changed" if self.masked else "of the scan"
        return {
            "zscore": f"subtract the mean, divide by the standard deviation, both {where}",
            "none": "leave the values as they are",
            "range_0_1": "subtract the scan's least value, divide by what is then its largest",
            "rgb_0_1": "divide by 255",
        }[self.scheme]


@dataclass(frozen=True)
class LabelInput:
    """Labels of the stage before as input of the next, one channel a value behind the scan's: 1 where the label is, else 0.

    They are resampled as nnU-Net resamples segmentations: the label wins whose mask, interpolated with `order`, is largest there,
    and of equal ones the nearest voxel's (batchgenerators 0.25.5). With `in_half` masks are compared in float16, as
    resample_torch does, and of equal ones the lowest wins.
    """

    values: tuple[int, ...]
    order: int = 1
    in_half: bool = False

    def __post_init__(self) -> None:
        fits = 1 <= len(self.values) <= 255 and min(self.values) > 0
        require_field(fits, "previous.values", self.values, "1 to 255 labels, without 0")
        require_field(self.order in (0, 1), "previous.order", self.order, "0 or 1")


def require_field(holds: bool, field: str, got: object, expected: str) -> None:
    """Raise BundleError that names a field of bundle.json unless `holds`."""
    if not holds:
        raise BundleError(f"bundle.json: {field}: got {got}, expected {expected}")
