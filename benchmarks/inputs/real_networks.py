"""The networks of `flare-trt bench export`: what users of nnU-Net train, at its own sizes.

The architectures of "default CT", "ResEncM" and "ResEncL" are those that nnU-Net 2.8.1's ExperimentPlanner, nnUNetPlannerResEncM
and nnUNetPlannerResEncL plan for a data set of 30 abdominal CTs of 85 to 198 slices of 512 x 512 voxels, 2.5 to 5 mm x 0.59 to
0.98 mm. Spacings are not theirs: they are as coarse as makes a few tiles of a small scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class RealNetwork:
    """One row. `convs` counts convolutions (PlainConvUNet) or blocks (ResidualEncoderUNet) a stage of the encoder."""

    name: str
    features: Sequence[int]
    strides: Sequence[Triple]
    convs: Sequence[int]
    decoder_convs: int
    patch_zyx: Triple
    spacing_mm: tuple[float, float, float]
    classes: int = 14
    folds: int = 1
    kind: Literal["PlainConvUNet", "ResidualEncoderUNet"] = "PlainConvUNet"
    flat_first_kernel: bool = False
    reader: str = "SimpleITKIO"
    trainer: str = "nnUNetTrainer"


_FIVE_DOWN: Sequence[Triple] = ((1, 1, 1), *((2, 2, 2),) * 5)
_FLAT_THEN_DOWN: Sequence[Triple] = ((1, 1, 1), (1, 2, 2), *((2, 2, 2),) * 4)
_SMALL: Sequence[Triple] = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
_SMALL_FEATURES, _LARGE_FEATURES = (8, 16, 16, 16), (32, 64, 128, 256, 320, 320)
_PAPER_PATCH: Triple = (96, 160, 128)
_PAPER_SPACING_MM = (3.0, 1.95, 2.7)

#: Cheapest first: an interrupted run has done what it could.
NETWORKS = (
    RealNetwork("small 96", _SMALL_FEATURES, _SMALL, (2, 2, 2, 1), 1, (96, 96, 96), (3.0, 3.0, 3.0), flat_first_kernel=True),
    RealNetwork("small 128", _SMALL_FEATURES, _SMALL, (2, 2, 2, 1), 1, (128, 128, 128), (2.6, 2.6, 2.6), flat_first_kernel=True),
    RealNetwork(
        "118 classes",
        _SMALL_FEATURES,
        _SMALL,
        (2, 2, 2, 1),
        1,
        (96, 96, 96),
        (3.6, 3.3, 3.6),
        classes=118,
        flat_first_kernel=True,
        reader="NibabelIOWithReorient",
        trainer="nnUNetTrainerNoMirroring",
    ),
    RealNetwork(
        "five folds", _SMALL_FEATURES, _SMALL, (2, 2, 2, 1), 1, (96, 96, 96), (3.6, 3.3, 3.6), folds=5, flat_first_kernel=True
    ),
    RealNetwork("paper coarse", (24, 48, 96, 192, 320, 320), _FIVE_DOWN, (2,) * 6, 2, _PAPER_PATCH, _PAPER_SPACING_MM, 15),
    RealNetwork(
        "default CT", _LARGE_FEATURES, _FLAT_THEN_DOWN, (2,) * 6, 2, (64, 192, 160), (4.2, 1.6, 2.15), flat_first_kernel=True
    ),
    RealNetwork("paper fine", _LARGE_FEATURES, _FIVE_DOWN, (3,) * 6, 3, _PAPER_PATCH, _PAPER_SPACING_MM, 15),
    RealNetwork(
        "ResEncM",
        _LARGE_FEATURES,
        _FLAT_THEN_DOWN,
        (1, 3, 4, 6, 6, 6),
        1,
        (64, 160, 160),
        (4.2, 1.95, 2.15),
        kind="ResidualEncoderUNet",
        flat_first_kernel=True,
    ),
    RealNetwork(
        "ResEncL",
        (*_LARGE_FEATURES, 320),
        (*_FLAT_THEN_DOWN, (1, 2, 2)),
        (1, 3, 4, 6, 6, 6, 6),
        1,
        (80, 256, 256),
        (4.6, 1.3, 1.4),
        kind="ResidualEncoderUNet",
        flat_first_kernel=True,
    ),
)
