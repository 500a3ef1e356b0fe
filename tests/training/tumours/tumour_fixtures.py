"""Small scenes and views for the tests of the synthetic tumours: a box of liver in fat, and a phantom's abdomen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.distil.soft_labels import halved, soft_labels
from flare_trt.training.distil.views import View
from flare_trt.training.tumours.draw import NamedView
from flare_trt.training.tumours.recipe import CHANNELS
from flare_trt.training.tumours.scene import FULL, Scene
from tests.training.distil.distil_fixtures import tiny_config

SPACING_MM = (2.5, 1.7, 1.6)
LIVER_HU, FAT_HU, NOISE_HU = 110.0, -95.0, 6.0


def liver_scene(shape: tuple[int, int, int] = (33, 49, 54), border: int = 8, label: int = 1) -> Scene:
    """A box of one organ (110 HU) with fat (-95 HU) around it, and a little noise."""
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(border, -border) for _ in shape)] = label
    noise = np.random.default_rng(5).normal(0, NOISE_HU, shape)
    hu = (np.where(labels, LIVER_HU, FAT_HU) + noise).astype(np.float32)
    return Scene(hu, labels, np.full(shape, FULL, np.uint8), SPACING_MM)


def tumour_config(**changes: object) -> DistilConfig:
    """A tiny configuration on the organs' own network."""
    config = tiny_config(spacing_mm=(6.0, 5.5, 5.0), train_patch_zyx=(48, 32, 48))
    return replace(config, network=NetworkConfig(), **changes)  # type: ignore[arg-type]


def organs_by_value(image: torch.Tensor) -> torch.Tensor:
    """Stands in for a network: a voxel is of organ n where its value is n steps of 0.1, modulo 14; at half the resolution."""
    steps = (image[0, 0] * 10).floor().long() % 14
    return torch.nn.functional.avg_pool3d(torch.nn.functional.one_hot(steps, 14).permute(3, 0, 1, 2)[None].float(), 2)[0]


def abdomen_view(ct: str = "lidc_0002") -> NamedView:
    """A phantom's abdomen as a view, labelled by its own truth."""
    spacing = (6.0, 5.5, 5.0)
    ct_volume, labels = make_phantom(4, (44, 52, 64), spacing, PhantomOptions(centre_mm=20.0))
    shares = np.ascontiguousarray(np.moveaxis(np.eye(CHANNELS, dtype=np.float32)[labels.array], -1, 0))
    return NamedView(ct, View(ct_volume.array, soft_labels(shares), soft_labels(halved(shares)), spacing))
