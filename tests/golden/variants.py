"""All golden model folders: the trained ones of tests/golden/models and what is derived from them, the same on every machine.

| name | folds | what it is |
|---|---|---|
| plain | 0, 1 | PlainConvUNet, 14 classes, SimpleITKIO |
| residual | 0 | ResidualEncoderUNet, 14 classes, NibabelIOWithReorient |
| regions | 0 | PlainConvUNet with overlapping regions |
| transposed | 0 | plain with its weights turned: transpose_forward (2, 0, 1), the same function of the scan |
| old_format | 0 | plain with plans as of 2023 and the fall-back key of the intensities |
| inherited | 0 | plain under a configuration that inherits over two steps and changes spacing and patch |
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "models"
TRAINED = ("plain", "residual", "regions")
TRANSPOSE = (2, 0, 1)


def golden_folder(name: str, scratch: Path) -> Path:
    """A golden model folder by name; derived ones are made in `scratch` unless they are there."""
    if name in TRAINED:
        return MODELS / name
    folder = scratch / name
    if not folder.exists():
        (folder / "fold_0").mkdir(parents=True)
        for file in ("dataset.json", "dataset_fingerprint.json"):
            shutil.copy(MODELS / "plain" / file, folder)
        plans, checkpoint = _read_json(MODELS / "plain" / "plans.json"), _load(MODELS / "plain" / "fold_0" / "checkpoint_final.pth")
        _CHANGES[name](plans, checkpoint)
        checkpoint["init_args"]["plans"] = plans
        (folder / "plans.json").write_text(json.dumps(plans, indent=4))
        _save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def _transposed(plans: dict[str, Any], checkpoint: dict[str, Any]) -> None:
    plans["transpose_forward"] = list(TRANSPOSE)
    plans["transpose_backward"] = [TRANSPOSE.index(axis) for axis in range(3)]
    for key in ("original_median_spacing_after_transp", "original_median_shape_after_transp"):
        plans[key] = _turned(plans[key])
    fullres = plans["configurations"]["3d_fullres"]
    for key in ("spacing", "patch_size", "median_image_size_in_voxels"):
        fullres[key] = _turned(fullres[key])
    kwargs = fullres["architecture"]["arch_kwargs"]
    for key in ("kernel_sizes", "strides"):
        kwargs[key] = [_turned(sizes) for sizes in kwargs[key]]
    weights = checkpoint["network_weights"]
    turned = {id(w): w.permute(0, 1, *(2 + axis for axis in TRANSPOSE)).contiguous() for w in weights.values() if w.ndim == 5}
    for name, weight in weights.items():
        weights[name] = turned.get(id(weight), weight)


def _old_format(plans: dict[str, Any], checkpoint: dict[str, Any]) -> None:
    fullres = plans["configurations"]["3d_fullres"]
    kwargs = fullres.pop("architecture")["arch_kwargs"]
    fullres.update(
        UNet_class_name="PlainConvUNet",
        UNet_base_num_features=kwargs["features_per_stage"][0],
        unet_max_num_features=max(kwargs["features_per_stage"]),
        n_conv_per_stage_encoder=kwargs["n_conv_per_stage"],
        n_conv_per_stage_decoder=kwargs["n_conv_per_stage_decoder"],
        conv_kernel_sizes=kwargs["kernel_sizes"],
        pool_op_kernel_sizes=kwargs["strides"],
        num_pool_per_axis=[2, 3, 3],
    )
    plans["foreground_intensity_properties_by_modality"] = plans.pop("foreground_intensity_properties_per_channel")


def _inherited(plans: dict[str, Any], checkpoint: dict[str, Any]) -> None:
    plans["configurations"]["3d_middle"] = {"inherits_from": "3d_fullres", "spacing": [9.0, 9.0, 9.0], "batch_size": 4}
    plans["configurations"]["3d_child"] = {"inherits_from": "3d_middle", "spacing": [4.0, 3.3, 3.1], "patch_size": [24, 40, 48]}
    checkpoint["init_args"]["configuration"] = "3d_child"


_CHANGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "transposed": _transposed,
    "old_format": _old_format,
    "inherited": _inherited,
}
GOLDEN = (*TRAINED, *_CHANGES)


def _turned(values: list[Any]) -> list[Any]:
    return [values[axis] for axis in TRANSPOSE]


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _load(path: Path) -> dict[str, Any]:
    import torch

    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)  # our own file
    return content


def _save(checkpoint: dict[str, Any], path: Path) -> None:
    import torch

    torch.save(checkpoint, path)
