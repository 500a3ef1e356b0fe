"""A segmenter that bands the HU in place of a network, and scans for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.engine.scans.nifti_files import Forms, affine, write_raw

from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.run_report import RunReport
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.segmenter import Segmentation

BODY = Forms(sform=affine(np.diag([-1, -1, 1]), (2.0, 2.1, 3.0), (50, 60, 70)), sform_code=1)


def bands(hu: np.ndarray) -> np.ndarray:
    return np.digitize(hu, [-100, 0, 100]).astype(np.uint8)


class FakeSegmenter:
    """Bands the HU into labels; fails on a scan whose first voxel says so."""

    opened = 0

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def __enter__(self) -> FakeSegmenter:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def segment(self, ct: Volume, progress: Callable[[str, int, int], None] | None = None) -> Segmentation:
        hu = ct.array[:, :, :]
        if hu[0, 0, 0] == 666:
            raise BudgetError("this scan needs more")
        if hu[0, 0, 0] == 667:
            raise KeyboardInterrupt
        assert progress is not None
        progress("fine", 1, 1)
        report = RunReport(
            *("0", "bands", "exact", "cpu", "asked for", "none", "fake", "fp32"),
            {"network": 0.5},
            {"fine": 1},
            None,
            ("a warning",),
        )
        return Segmentation(Volume(bands(hu), ct.grid), report)


def spoil(scans: Path, name: str, first_voxel: int) -> None:
    array = read_ct(scans / name).array
    array[0, 0, 0] = first_voxel
    write_raw(scans / name, array, BODY)
