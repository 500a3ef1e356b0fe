"""nnU-Net model folders of untrained networks whose label maps are contested: every class is near the top somewhere.

All weights are random; the last layer is scaled so that each class' logits have mean 0 and deviation 1 over a patch of a real scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.benchmarks.base.extra import require
from flare_trt.benchmarks.inputs.real_networks import RealNetwork
from flare_trt.engine.base.files import write_json
from flare_trt.engine.base.volume import Volume

#: Abdominal CT, HU: the 0.5th and 99.5th percentile, mean and standard deviation of the foreground.
_LOW, _HIGH, _MEAN, _STD = -958.0, 327.0, 80.0, 141.0


def write_model_folder(network: RealNetwork, scan: Volume, folder: Path) -> int:
    """Write plans.json, dataset.json and a checkpoint a fold; returns the number of one fold's parameters."""
    require("torch")
    require("dynamic_network_architectures")
    import torch

    patch = torch.from_numpy(_patch(network, scan))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "plans.json", _plans(network))
    labels = {"background": 0, **{f"class_{value}": value for value in range(1, network.classes)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    write_json(folder / "dataset.json", dataset)
    parameters = 0
    for fold in range(network.folds):
        module = _contested(network, patch, seed=fold)
        parameters = sum(weight.numel() for weight in module.parameters())
        (folder / f"fold_{fold}").mkdir(exist_ok=True)
        checkpoint = {
            "network_weights": module.state_dict(),
            "init_args": {"configuration": "3d_fullres"},
            "trainer_name": network.trainer,
            "inference_allowed_mirroring_axes": (0, 1, 2),
        }
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return parameters


def _patch(network: RealNetwork, scan: Volume) -> NDArray[np.float32]:
    """The middle of the scan at the network's spacing, (1, 1, z, y, x), clipped and normalised; air where it is too small."""
    from scipy import ndimage

    zoom = np.divide(scan.grid.spacing_mm, network.spacing_mm)
    image = ndimage.zoom(np.asarray(scan.array, np.float32), zoom, order=1)
    patch = np.full(network.patch_zyx, _LOW, np.float32)
    shared = [min(a, b) for a, b in zip(image.shape, patch.shape, strict=True)]
    here, there = (_middle(array.shape, shared) for array in (patch, image))
    patch[here] = image[there]
    return np.asarray((np.clip(patch, _LOW, _HIGH) - _MEAN) / _STD, np.float32)[None, None]


def _middle(shape: Sequence[int], kept: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice((size - part) // 2, (size - part) // 2 + part) for size, part in zip(shape, kept, strict=True))


def _contested(network: RealNetwork, patch: Any, seed: int) -> Any:
    import torch
    from dynamic_network_architectures.architectures import unet

    torch.manual_seed(seed)
    classes = _imported(_architecture(network))
    module = getattr(unet, network.kind)(input_channels=1, num_classes=network.classes, deep_supervision=False, **classes)
    module.apply(module.initialize)
    with torch.inference_mode():
        logits = module.eval()(patch)[0]
        mean, std = logits.mean((1, 2, 3)), logits.std((1, 2, 3))
    last = module.decoder.seg_layers[-1]
    with torch.no_grad():
        last.weight.copy_(last.weight / std[:, None, None, None, None])
        last.bias.copy_((last.bias - mean) / std)
    return module


def _imported(arguments: dict[str, Any]) -> dict[str, Any]:
    from torch import nn

    classes = {"conv_op": nn.Conv3d, "norm_op": nn.InstanceNorm3d, "nonlin": nn.LeakyReLU}
    return {**arguments, **classes}


def _architecture(network: RealNetwork) -> dict[str, Any]:
    stages = len(network.features)
    first = [1, 3, 3] if network.flat_first_kernel else [3, 3, 3]
    depth = "n_conv_per_stage" if network.kind == "PlainConvUNet" else "n_blocks_per_stage"
    return {
        "n_stages": stages,
        "features_per_stage": list(network.features),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [first, *[[3, 3, 3]] * (stages - 1)],
        "strides": [list(stride) for stride in network.strides],
        depth: list(network.convs),
        "n_conv_per_stage_decoder": [network.decoder_convs] * (stages - 1),
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def _plans(network: RealNetwork) -> dict[str, Any]:
    foreground = {"percentile_00_5": _LOW, "percentile_99_5": _HIGH, "mean": _MEAN, "std": _STD, "median": _MEAN}
    return {
        "dataset_name": f"Dataset990_{network.name.title().replace(' ', '')}",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(network.spacing_mm),
        "original_median_shape_after_transp": list(network.patch_zyx),
        "image_reader_writer": network.reader,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": _configuration(network)},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {**foreground, "min": -1024.0, "max": 3071.0}},
    }


def _configuration(network: RealNetwork) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(network.patch_zyx),
        "median_image_size_in_voxels": list(network.patch_zyx),
        "spacing": list(network.spacing_mm),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": False,
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{network.kind}",
            "arch_kwargs": _architecture(network),
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    for use, order in (("data", 3), ("seg", 1), ("probabilities", 1)):
        configuration[f"resampling_fn_{use}"] = "resample_data_or_seg_to_shape"
        kwargs = {"is_seg": use == "seg", "order": order, "order_z": 0, "force_separate_z": None}
        configuration[f"resampling_fn_{use}_kwargs"] = kwargs
    return configuration
