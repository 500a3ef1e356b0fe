"""Colours of labels: FLARE's for its organs, else hues spread around the circle."""

from __future__ import annotations

import colorsys

from flare_trt.engine.anatomy import canonical
from flare_trt.engine.flare_labels import FLARE_LABELS
from flare_trt.engine.spec import LabelSpec

_GOLDEN_RATIO = 0.618034  # steps of this share of the circle keep neighbouring labels apart


def label_specs(names: dict[int, str]) -> tuple[LabelSpec, ...]:
    """Specs of all labels by value."""
    return tuple(LabelSpec(value, name, _colour(value, name)) for value, name in sorted(names.items()))


def _colour(value: int, name: str) -> str:
    for label in FLARE_LABELS:
        if label.name == canonical(name):
            return label.colour
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN_RATIO % 1, 0.65, 0.9)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
