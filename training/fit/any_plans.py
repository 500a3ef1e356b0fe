"""Plans of the coarse-to-fine recipe for any nnU-Net dataset: the paper's networks, spacings by the dataset's fingerprint.

nnU-Net's own planner finds image reader, axes, normalisation, strides and patches.
Source: nnunetv2/experiment_planning/experiment_planners/default_experiment_planner.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.training.fit.plans import NETWORKS, PLANS_NAME

Size = Literal["", "_cpu"]
#: How much of a median scan one patch holds: nnU-Net's threshold for 3d_lowres.
COARSE_SHARE = 0.25
#: The coarse network sees at most this share of the fine one's voxels, as the paper's does: 0.8 of 2.5 mm.
COARSE_VOXELS = 1 / 3
#: Steps in which nnU-Net makes spacings coarser.
_STEP = 1.03


@dataclass(frozen=True)
class Effort:
    """What a network may cost: GPU memory in GB, by nnU-Net's estimate; the least share of a median scan in a patch of fine."""

    memory_gb: float
    fine_share: float


EFFORTS: dict[Size, Effort] = {"": Effort(8.0, 0.0), "_cpu": Effort(0.5, 0.125)}


@dataclass(frozen=True)
class Sampling:
    """A spacing in mm and the voxels of a median scan at it, both in the networks' axis order."""

    spacing_mm: NDArray[np.float64]
    median_shape: NDArray[np.float64]

    def coarser(self, patch: NDArray[np.int64], share: float, most_voxels: float) -> Sampling:
        """The first spacing at which a patch holds this share of the scan, and the scan at most `most_voxels`.

        As nnU-Net does: axes that are finer than half of the coarsest come first.
        """
        spacing = self.spacing_mm.copy()
        while (shape := self.median_shape * self.spacing_mm / spacing).prod() > min(patch.prod() / max(share, 1e-9), most_voxels):
            fine = spacing.max() / spacing > 2
            spacing[fine if fine.any() else slice(None)] *= _STEP
        return Sampling(spacing, np.maximum(1, np.round(shape)))


def plan_any(dataset: str) -> dict[str, Any]:
    """The plans of a raw dataset whose fingerprint is there. nnU-Net's folders have to be entered.

    Raises InputError for a dataset of single slices.
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    planner = ExperimentPlanner(dataset, plans_name=PLANS_NAME)
    planner.static_estimate_VRAM_usage = _feature_map_voxels
    forward, backward = planner.determine_transpose()
    fingerprint, target = planner.dataset_fingerprint, planner.determine_fullres_target_spacing()
    scans = fingerprint["spacings"], fingerprint["shapes_after_crop"]
    shapes = [compute_new_shape(shape, spacing, target) for spacing, shape in zip(*scans, strict=True)]
    fullres = Sampling(target[forward], np.median(shapes, axis=0)[forward])
    if fullres.median_shape[0] == 1:
        raise InputError(f"{dataset}: its images are single slices, expected volumes for a coarse network to search")
    spacing, shape = (np.median(rows, axis=0)[forward].tolist() for rows in scans)
    plans = {
        "dataset_name": dataset,
        "plans_name": PLANS_NAME,
        "original_median_spacing_after_transp": spacing,
        "original_median_shape_after_transp": [round(size) for size in shape],
        "image_reader_writer": planner.determine_reader_writer().__name__,
        "transpose_forward": [int(axis) for axis in forward],
        "transpose_backward": [int(axis) for axis in backward],
        "configurations": {name: row for size in EFFORTS for name, row in _pair(planner, fullres, size).items()},
        "experiment_planner_used": __name__,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": fingerprint["foreground_intensity_properties_per_channel"],
    }
    recursive_fix_for_json_export(plans)
    written: dict[str, Any] = json.loads(json.dumps(plans))  # with lists for its tuples, as they will be read
    return written


def _pair(planner: Any, fullres: Sampling, size: Size) -> dict[str, Any]:
    """The coarse and the fine configuration of one size."""
    effort = EFFORTS[size]
    fine, sampling = _configuration(planner, fullres, f"fine{size}", effort), fullres
    if effort.fine_share:
        sampling = fullres.coarser(np.array(fine["patch_size"]), effort.fine_share, np.inf)
        fine = _configuration(planner, sampling, f"fine{size}", effort)
    voxels = sampling.median_shape.prod() * COARSE_VOXELS
    coarse = sampling.coarser(np.array(fine["patch_size"]), COARSE_SHARE, voxels)
    return {f"coarse{size}": _configuration(planner, coarse, f"coarse{size}", effort), f"fine{size}": fine}


def _configuration(planner: Any, sampling: Sampling, name: str, effort: Effort) -> dict[str, Any]:
    """nnU-Net's plan of a spacing, with the features and convolutions that the recipe's network of this name has."""
    network = NETWORKS[name]
    planner.UNet_base_num_features, planner.UNet_max_features_3d = network.features, network.most_features
    planner.UNet_blocks_per_stage_encoder = planner.UNet_blocks_per_stage_decoder = (network.convs,) * 14
    planner.UNet_vram_target_GB = effort.memory_gb
    voxels = float(sampling.median_shape.prod()) * planner.dataset_json["numTraining"]
    row: dict[str, Any] = planner.get_plans_for_configuration(
        sampling.spacing_mm, sampling.median_shape, planner.generate_data_identifier(name), voxels, {}
    )
    return row | {"batch_dice": False}


def _feature_map_voxels(patch: Any, inputs: int, outputs: int, class_name: str, kwargs: Any, imported: Any) -> int:
    """What nnU-Net's planner takes for memory, on a network without weights.

    Its own function builds them each time, and fails where nnUNet_n_proc_DA is 0 (it sets so many threads).
    """
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    with torch.device("meta"):
        network = get_network_from_plans(class_name, kwargs, imported, inputs, outputs, allow_init=False)
    voxels: int = network.compute_conv_feature_map_size(patch)
    return voxels
