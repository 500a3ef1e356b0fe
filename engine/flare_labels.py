"""The classes of FLARE 2022 to 2025, in the challenge's order, with the colours that previews and viewers use."""

from __future__ import annotations

from flare_trt.engine.spec import LabelSpec

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
