"""Colours of labels: FLARE's for its organs, else hues spread around the circle."""

from __future__ import annotations

from flare_trt.engine.base.organs import label_colour
from flare_trt.engine.model.spec import LabelSpec


def label_specs(names: dict[int, str]) -> tuple[LabelSpec, ...]:
    """Specs of all labels by value."""
    return tuple(LabelSpec(value, name, label_colour(value, name)) for value, name in sorted(names.items()))
