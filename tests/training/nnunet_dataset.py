"""A small raw dataset in nnU-Net's own form: several channels, labels of its own, any file ending."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SHAPE_ZYX, SPACING_MM = (27, 34, 38), (2.5, 1.5, 1.4)


@dataclass(frozen=True)
class RawDataset:
    """What to write. `labels` and `extra` go into dataset.json."""

    name: str = "Dataset007_Gland"
    channels: tuple[str, ...] = ("T2", "ADC")
    labels: tuple[tuple[str, Any], ...] = (("background", 0), ("gland", 1), ("lesion", 2), ("ignore", 3))
    extra: tuple[tuple[str, Any], ...] = ()
    ending: str = ".nrrd"
    cases: int = 3

    def write(self, raw: Path) -> Path:
        """Write it below nnU-Net's raw folder; returns the folder with its images of patients."""
        folder = raw / self.name
        for part in ("imagesTr", "labelsTr", "imagesTs"):
            (folder / part).mkdir(parents=True)
        for number in range(self.cases + 1):
            channels, labels = _case(number, len(self.channels))
            part = "imagesTr" if number < self.cases else "imagesTs"
            for channel, image in enumerate(channels):
                _write(folder / part / f"case{number}_{channel:04d}{self.ending}", image)
            if part == "imagesTr":
                _write(folder / "labelsTr" / f"case{number}{self.ending}", labels)
        described = {
            "channel_names": {str(number): name for number, name in enumerate(self.channels)},
            "labels": dict(self.labels),
            "numTraining": self.cases,
            "file_ending": self.ending,
            **dict(self.extra),
        }
        (folder / "dataset.json").write_text(json.dumps(described))
        return folder


def _case(seed: int, channels: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Noise with a bright ball, a brighter core, and a few voxels that nobody judged."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.arange(size) * mm for size, mm in zip(SHAPE_ZYX, SPACING_MM, strict=True))
    centre = rng.uniform(0.42, 0.58, 3) * (z[-1], y[-1], x[-1])
    distance = np.sqrt((z[:, None, None] - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2 + (x - centre[2]) ** 2)
    labels = ((distance < 14).astype(np.uint8) + (distance < 6)).astype(np.uint8)
    shown = [200 + 90 * (channel + 1) * labels + 20 * rng.standard_normal(SHAPE_ZYX) for channel in range(channels)]
    images = [image.astype(np.int16) for image in shown]
    labels[:2, :3, :3] = 3
    return images, labels


def _write(path: Path, array: np.ndarray) -> None:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING_MM[::-1])
    SimpleITK.WriteImage(image, str(path))
