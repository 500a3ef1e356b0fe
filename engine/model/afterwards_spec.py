"""What a bundle says about the labels behind its networks: rules for pieces, and gates on tumours."""

from __future__ import annotations

from dataclasses import dataclass

from flare_trt.engine.base.label_types import MOST_LABEL
from flare_trt.engine.model.channel_spec import require_field


@dataclass(frozen=True)
class ComponentRule:
    """What is removed of some labels, which count as one: 26-connected pieces become background.

    `keep_largest` leaves the largest piece and its equals (nnunetv2/postprocessing/remove_connected_components.py), `least_ml`
    the pieces of at least this volume, `farthest_mm` those whose box is at most this far from the largest piece's box.
    """

    labels: tuple[int, ...]
    keep_largest: bool = False
    least_ml: float = 0.0
    farthest_mm: float | None = None

    def __post_init__(self) -> None:
        fits = bool(self.labels) and all(1 <= label <= MOST_LABEL for label in self.labels)
        require_field(fits, "postprocessing.labels", self.labels, f"one label or more, 1..{MOST_LABEL}")
        require_field(self.least_ml >= 0, "postprocessing.least_ml", self.least_ml, "a volume in ml, 0 for none")
        require_field((self.farthest_mm or 0) >= 0, "postprocessing.farthest_mm", self.farthest_mm, "a distance in mm, or null")
        removes = self.keep_largest or self.least_ml > 0 or self.farthest_mm is not None
        require_field(removes, "postprocessing", "a rule that removes nothing", "keep_largest, least_ml or farthest_mm")


@dataclass(frozen=True)
class LesionGates:
    """When a piece of a tumour label is no tumour: it then gets the label of the organ around it, or none.

    A piece stays if it has at least `least_ml`, its mean lies within `mean_hu` (fluid and fat are no tumour) and within
    `over_organ_hu` of the median of the organ around it (of 0 HU where there is none), it fills at least `least_filled` of the
    ball across its longest side (plates and strings fill little), an organ is at most `farthest_mm` away, and organs are at least
    `least_beside` of what lies within 4 mm of it (fluid beside the lung, a loop of bowel: less).

    Where the label has a second channel, for the voxels that are surest, a piece needs `least_strong_ml` of them: two thresholds
    with hysteresis (Canny, IEEE PAMI 1986;8:679), the lower one outlines what the higher one has found.
    """

    label: int
    least_ml: float = 0.0
    over_organ_hu: tuple[float, float] = (-1e6, 1e6)
    mean_hu: tuple[float, float] = (-1e6, 1e6)
    least_filled: float = 0.0
    farthest_mm: float = 1e6
    least_beside: float = 0.0
    least_strong_ml: float = 0.0

    def __post_init__(self) -> None:
        for name in ("over_organ_hu", "mean_hu"):
            low, high = getattr(self, name)
            require_field(low < high, f"lesion_gates.{name}", (low, high), "a lower and a higher HU")
        for name in ("least_filled", "least_beside"):
            require_field(0 <= getattr(self, name) < 1, f"lesion_gates.{name}", getattr(self, name), "a share in [0, 1)")
        least = min(self.least_ml, self.least_strong_ml, self.farthest_mm)
        require_field(least >= 0, "lesion_gates", self, "no negative volume or distance")


def require_afterwards(
    rules: tuple[ComponentRule, ...], gates: LesionGates | None, values: list[int], strong_label: int | None
) -> None:
    """Check that rules and gates are about a bundle's labels, and that a label of two channels has gates. Raises BundleError."""
    expected = f"values out of {sorted(values)}"
    gated = None if gates is None else gates.label
    require_field(gated is None or gated in values, "lesion_gates.label", gated, expected)
    require_field(strong_label in (None, gated), "strong_label", strong_label, f"the label of lesion_gates, {gated}")
    for rule in rules:
        require_field({*rule.labels} <= {*values}, "postprocessing.labels", rule.labels, expected)
        fits = strong_label not in rule.labels
        require_field(
            fits, "postprocessing.labels", rule.labels, f"not {strong_label}: of a label of two channels gates remove pieces"
        )
