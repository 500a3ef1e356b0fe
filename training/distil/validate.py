"""Dice of a student on labelled CTs that it never learns from, and on phantoms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.scans import labels_on, network_image, read_upright_ct, read_upright_labels
from flare_trt.training.distil.windows import Network, probabilities

#: Phantoms of the validation: an abdomen and a head (seed, height of the scan's middle in mm), and their grid.
ABDOMEN, HEAD = (900001, 20.0), (900003, 480.0)
PHANTOM_SHAPE, PHANTOM_MM = (60, 70, 92), (5.0, 4.0, 4.0)


def torch_network(module: nn.Module) -> Network:
    """A torch module as a function of NumPy tiles."""

    def run(tile: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return module(torch.from_numpy(tile))[0].numpy()  # type: ignore[no-any-return]

    return run


def segment(network: Network, ct: Volume, config: DistilConfig) -> NDArray[np.uint8]:
    """Labels of an upright CT on its own voxels."""
    image = network_image(ct, config.spacing_mm, config.teacher.intensity)
    return labels_on(probabilities(network, image, config.patch_zyx), ct.grid.shape_zyx)


def validate(network: Network, config: DistilConfig) -> dict[str, float]:
    """Mean Dice of each labelled CT ("dice <folder>"), of its least organ, of the phantoms, and the ml found in a head."""
    result: dict[str, float] = {}
    for ct_path, label_path in zip(config.data.validation_cts, config.data.validation_labels, strict=True):
        labels = read_upright_labels(Path(label_path)).array
        scores = dice_by_label(segment(network, read_upright_ct(Path(ct_path)), config), labels)
        name = Path(ct_path).parent.name
        result[f"dice {name}"] = float(np.mean(list(scores.values())))
        result.update({f"dice {name} {label}": score for label, score in scores.items()})
    ct, truth = _phantom(*ABDOMEN)
    result["dice phantom"] = float(np.mean(list(dice_by_label(segment(network, ct, config), truth.array).values())))
    head, _ = _phantom(*HEAD)
    result["head ml"] = float((segment(network, head, config) > 0).sum() * head.grid.voxel_ml)
    return result


def _phantom(seed: int, centre_mm: float) -> tuple[Volume, Volume]:
    return make_phantom(seed, PHANTOM_SHAPE, PHANTOM_MM, PhantomOptions(centre_mm=centre_mm))


def dice_by_label(labels: NDArray[np.uint8], truth: NDArray[np.uint8], known: Sequence[int] | None = None) -> dict[int, float]:
    """Dice of each label that the truth shows (or of `known` ones)."""
    wanted = known if known is not None else [int(label) for label in np.unique(truth) if label]
    scores = {}
    for label in wanted:
        mine, real = labels == label, truth == label
        total = int(mine.sum()) + int(real.sum())
        scores[label] = 2 * int((mine & real).sum()) / total if total else 1.0
    return scores
