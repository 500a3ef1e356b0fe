"""The classes of FLARE 2022 to 2025, in the challenge's order, with the colours that previews and viewers use.

Other labels get hues of their own.
"""

from __future__ import annotations

import colorsys

from flare_trt.engine.base.organs import canonical
from flare_trt.engine.model.spec import LabelSpec

FLARE_LABELS: tuple[LabelSpec, ...] = tuple(
    LabelSpec(value, name, colour)
    for value, (name, colour) in enumerate(
        [
            ("liver", "#b5523b"),
            ("right kidney", "#e0a030"),
            ("spleen", "#7a5fb0"),
            ("pancreas", "#f2d14a"),
            ("aorta", "#e03c31"),
            ("inferior vena cava", "#3d6fd9"),
            ("right adrenal gland", "#45c4b0"),
            ("left adrenal gland", "#2a9d8f"),
            ("gallbladder", "#6fbf4b"),
            ("esophagus", "#d98cb3"),
            ("stomach", "#e88fa2"),
            ("duodenum", "#c9a27e"),
            ("left kidney", "#f4a259"),
            ("tumour", "#ffffff"),
        ],
        start=1,
    )
)

_GOLDEN_RATIO = 0.618034  # steps of this share of the circle keep neighbouring labels apart


def label_colour(value: int, name: str) -> str:
    """FLARE's colour for its organs, else a hue by the value, as "#rrggbb"."""
    for label in FLARE_LABELS:
        if label.name == canonical(name):
            return label.colour
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN_RATIO % 1, 0.65, 0.9)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
