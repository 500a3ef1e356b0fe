"""A separable network as a genuine nnU-Net v2 model folder, so that nnU-Net's own predictor runs the same weights.

nnU-Net finds a network's class by the name in plans.json (nnunetv2/utilities/get_network_from_plans.py), so no change to it is
needed: flare-trt has to be importable where it runs. The benchmarks compare both engines this way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flare_trt.engine.base.files import write_json
from flare_trt.engine.model.spec import ModelSpec, StageSpec
from flare_trt.kernels import Intensity
from flare_trt.training.distil.network import NetworkConfig, SeparableUNet, Triple, network_from_onnx


class SeparableForNnunet(SeparableUNet):
    """SeparableUNet with the constructor that nnU-Net calls."""

    def __init__(self, input_channels: int, num_classes: int, deep_supervision: bool, **layout: list[Any]) -> None:
        if input_channels != 1 or deep_supervision:
            raise ValueError(f"got {input_channels} input channels and deep supervision {deep_supervision}, expected 1 and False")
        strides: list[Triple] = [(int(z), int(y), int(x)) for z, y, x in layout["strides_zyx"]]
        super().__init__(
            NetworkConfig(
                num_classes,
                tuple(layout["features"]),
                tuple(strides),
                tuple(layout["convs_encoder"]),
                tuple(layout["convs_decoder"]),
            )
        )


def write_nnunet_folder(onnx: Path, spec: ModelSpec, folder: Path) -> None:
    """Write plans.json, dataset.json and fold_0/checkpoint_final.pth for the fine stage of `spec` with the weights of `onnx`."""
    config = NetworkConfig(channels=len(spec.fine.channel_values))
    network = network_from_onnx(onnx, config)
    (folder / "fold_0").mkdir(parents=True)
    write_json(folder / "plans.json", _plans(spec.fine, config))
    write_json(folder / "dataset.json", _dataset(spec))
    checkpoint = {
        "network_weights": network.state_dict(),
        "init_args": {"configuration": "3d_fullres"},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),  # what nnUNetTrainer takes by default
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


def _dataset(spec: ModelSpec) -> dict[str, Any]:
    labels = {"background": 0, **{label.name: label.value for label in spec.labels if label.value in spec.fine.channel_values}}
    return {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}


def _plans(stage: StageSpec, config: NetworkConfig) -> dict[str, Any]:
    return {
        "dataset_name": "Dataset001_separable",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(stage.spacing_mm),
        "original_median_shape_after_transp": list(stage.patch_zyx),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": _configuration(stage, config)},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": _statistics(stage.of_one_ct)},
    }


def _configuration(stage: StageSpec, config: NetworkConfig) -> dict[str, Any]:
    layout = {
        "features": list(config.features),
        "strides_zyx": [list(stride) for stride in config.strides_zyx],
        "convs_encoder": list(config.convs_encoder),
        "convs_decoder": list(config.convs_decoder),
    }
    resampling = "resample_data_or_seg_to_shape"
    image = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(stage.patch_zyx),
        "median_image_size_in_voxels": list(stage.patch_zyx),
        "spacing": list(stage.spacing_mm),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": resampling,
        "resampling_fn_seg": resampling,
        "resampling_fn_probabilities": resampling,
        "resampling_fn_data_kwargs": image,
        "resampling_fn_seg_kwargs": {**image, "is_seg": True, "order": 1},
        "resampling_fn_probabilities_kwargs": {**image, "order": 1},
        "architecture": {
            "network_class_name": f"{__name__}.{SeparableForNnunet.__name__}",
            "arch_kwargs": layout,
            "_kw_requires_import": [],
        },
        "batch_dice": False,
    }


def _statistics(intensity: Intensity) -> dict[str, float]:
    return {
        "mean": intensity.mean_hu,
        "std": intensity.std_hu,
        "percentile_00_5": intensity.low_hu,
        "percentile_99_5": intensity.high_hu,
        "median": intensity.mean_hu,
        "min": intensity.low_hu,
        "max": intensity.high_hu,
    }
