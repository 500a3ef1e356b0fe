"""nnU-Net v2 plans of the paper's two networks (table 1), and small variants of both for a machine without a GPU.

The `_cpu` variants segment, the `_mini` ones serve the reproduction in miniature alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

PLANS_NAME = "FLAREPlans"
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class NetworkPlan:
    """One row of the paper's table 1. Feature maps double each stage up to `most_features`."""

    spacing_mm: tuple[float, float, float]
    patch_zyx: Triple
    features: int
    convs: int
    strides_zyx: tuple[Triple, ...]
    batch_size: int = 2
    most_features: int = 320  # nnU-Net's limit in 3-D

    @property
    def features_per_stage(self) -> list[int]:
        """Feature maps from full resolution down."""
        return [min(self.most_features, self.features * 2**stage) for stage in range(len(self.strides_zyx))]


#: Five downsamplings on every axis: nnU-Net's planner would give z only four (96 / 2^5 = 3).
FIVE_DOWN: tuple[Triple, ...] = ((1, 1, 1), *((2, 2, 2),) * 5)
THREE_DOWN, TWO_DOWN = FIVE_DOWN[:4], FIVE_DOWN[:3]

#: Configuration -> network. The paper writes the fine spacing as 0.5 mm in section 2.1 and 0.8 mm in table 1: the table counts.
NETWORKS: dict[str, NetworkPlan] = {
    "coarse": NetworkPlan((2.5, 0.79, 0.79), (96, 160, 128), 24, 2, FIVE_DOWN),
    "fine": NetworkPlan((0.8, 0.79, 0.79), (96, 160, 128), 32, 3, FIVE_DOWN),
    "coarse_cpu": NetworkPlan((5.0, 4.0, 4.0), (48, 64, 64), 8, 1, TWO_DOWN, most_features=64),
    "fine_cpu": NetworkPlan((3.0, 2.0, 2.0), (64, 96, 96), 8, 2, TWO_DOWN, most_features=64),
    "coarse_mini": NetworkPlan((14.0, 12.0, 12.0), (32, 24, 32), 16, 1, THREE_DOWN),
    "fine_mini": NetworkPlan((8.0, 7.0, 7.0), (32, 40, 56), 16, 1, THREE_DOWN),
}


def make_plans(fingerprint: Mapping[str, Any], dataset_name: str, kind: Literal["coarse", "fine"]) -> dict[str, Any]:
    """The plans file of one dataset: the paper's network of this kind and its small variants.

    `fingerprint` is nnU-Net's dataset_fingerprint.json. Axes are never transposed: z stays the first one.
    """
    spacings, shapes = np.array(fingerprint["spacings"], float), np.array(fingerprint["shapes_after_crop"], float)
    configurations = {
        name: _configuration(NETWORKS[name], name, np.median(shapes * spacings / NETWORKS[name].spacing_mm, axis=0))
        for name in NETWORKS
        if name.startswith(kind)
    }
    return {
        "dataset_name": dataset_name,
        "plans_name": PLANS_NAME,
        "original_median_spacing_after_transp": np.median(spacings, axis=0).tolist(),
        "original_median_shape_after_transp": [round(size) for size in np.median(shapes, axis=0).tolist()],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": configurations,
        "experiment_planner_used": "flare_trt.training.fit.plans",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": fingerprint["foreground_intensity_properties_per_channel"],
    }


def _configuration(plan: NetworkPlan, name: str, median_shape: Any) -> dict[str, Any]:
    return {
        "data_identifier": f"{PLANS_NAME}_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": plan.batch_size,
        "patch_size": list(plan.patch_zyx),
        "median_image_size_in_voxels": [float(size) for size in median_shape],
        "spacing": list(plan.spacing_mm),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        **_resampling(),
        "architecture": _architecture(plan),
        "batch_dice": False,
    }


def _resampling() -> dict[str, Any]:
    """nnU-Net's defaults: cubic for images, linear for labels and probabilities, nearest between thick slices."""
    orders = {"data": (False, 3), "seg": (True, 1), "probabilities": (False, 1)}
    result: dict[str, Any] = {}
    for part, (is_seg, order) in orders.items():
        result[f"resampling_fn_{part}"] = "resample_data_or_seg_to_shape"
        result[f"resampling_fn_{part}_kwargs"] = {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}
    return result


def _architecture(plan: NetworkPlan) -> dict[str, Any]:
    stages = len(plan.strides_zyx)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": plan.features_per_stage,
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [list(stride) for stride in plan.strides_zyx],
            "n_conv_per_stage": [plan.convs] * stages,
            "n_conv_per_stage_decoder": [plan.convs] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
