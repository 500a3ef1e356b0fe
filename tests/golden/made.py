"""Model folders made on the spot in nnU-Net's own form: the golden plans with other channels, and a network of random weights.

The network is built by nnU-Net's classes out of these plans. Random weights after instance norms leave the labels contested
everywhere, which is harder on rounding than a trained network.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.golden.variants import MODELS, _load, _save

CONFIGURATION = "3d_fullres"


@dataclass(frozen=True)
class Made:
    """A folder to make. `channels` are (name, normalisation scheme, use_mask_for_norm); A `patch` of two axes makes a 2d
    configuration; `layers` go into the network's arguments."""

    channels: tuple[tuple[str, str, bool], ...]
    classes: int = 4
    spacing_mm: tuple[float, ...] = (2.0, 1.6, 1.5)
    patch: tuple[int, ...] = (24, 40, 32)
    reader: str = "SimpleITKIO"
    transpose: tuple[int, int, int] = (0, 1, 2)
    residual: bool = False
    layers: tuple[tuple[str, Any], ...] = ()
    seed: int = 0
    configuration: str = CONFIGURATION
    previous: str | None = None
    changes: tuple[tuple[str, Any], ...] = ()

    def write_cascade(self, results: Path, changes: tuple[tuple[str, Any], ...] = ()) -> Path:
        """Both stages as nnU-Net lays out its results; this one's labels are the input of the other, whose folder is returned.

        `changes` are those of the second stage.
        """
        second = replace(self, spacing_mm=(2.0, 1.6, 1.5), patch=(24, 40, 32), seed=self.seed + 1, changes=changes)
        first = replace(self, configuration="3d_lowres")
        first.write(results / "nnUNetTrainer__nnUNetPlans__3d_lowres")
        second = replace(second, configuration="3d_cascade_fullres", previous="3d_lowres")
        return second.write(results / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres")

    def write(self, folder: Path) -> Path:
        """Write the folder, one fold in it."""
        plans, dataset = self._plans(), self._dataset()
        (folder / "fold_0").mkdir(parents=True)
        (folder / "plans.json").write_text(json.dumps(plans, indent=4))
        (folder / "dataset.json").write_text(json.dumps(dataset, indent=4))
        checkpoint = _load(MODELS / "plain" / "fold_0" / "checkpoint_final.pth")
        checkpoint["network_weights"] = self._weights(plans)
        checkpoint["init_args"] |= {"plans": plans, "configuration": self.configuration, "dataset_json": dataset}
        checkpoint["inference_allowed_mirroring_axes"] = tuple(range(len(self.patch)))
        _save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
        return folder

    def _dataset(self) -> dict[str, Any]:
        dataset: dict[str, Any] = json.loads((MODELS / "plain" / "dataset.json").read_text())
        dataset["channel_names"] = {str(number): name for number, (name, _, _) in enumerate(self.channels)}
        dataset["labels"] = {"background": 0, **{f"part_{value}": value for value in range(1, self.classes)}}
        return dataset

    def _plans(self) -> dict[str, Any]:
        plans: dict[str, Any] = json.loads((MODELS / "plain" / "plans.json").read_text())
        plans["image_reader_writer"] = self.reader
        plans["transpose_forward"] = list(self.transpose)
        plans["transpose_backward"] = [self.transpose.index(axis) for axis in range(3)]
        key = "foreground_intensity_properties_per_channel"
        plans[key] = {str(number): plans[key]["0"] for number in range(len(self.channels))}
        fullres = plans["configurations"].pop(CONFIGURATION)
        plans["configurations"][self.configuration] = fullres
        fullres |= {"spacing": list(self.spacing_mm), "patch_size": list(self.patch)}
        fullres["normalization_schemes"] = [scheme for _, scheme, _ in self.channels]
        fullres["use_mask_for_norm"] = [masked for _, _, masked in self.channels]
        self._shrink(fullres["architecture"])
        fullres |= dict(self.changes)
        if self.previous is not None:  # as nnU-Net's planner writes it
            plans["configurations"] = {"3d_fullres": fullres}
            plans["configurations"][self.configuration] = {"inherits_from": "3d_fullres", "previous_stage": self.previous}
        return plans

    @property
    def _inputs(self) -> int:
        return len(self.channels) + (self.classes - 1 if self.previous else 0)

    def _shrink(self, architecture: dict[str, Any]) -> None:
        """Three stages, of as many axes as the patch, with the layers of `layers`."""
        kwargs = architecture["arch_kwargs"]
        for name in ("features_per_stage", "n_conv_per_stage", "kernel_sizes", "strides"):
            kwargs[name] = kwargs[name][:3]
        kwargs |= {"n_stages": 3, "n_conv_per_stage": [1, 1, 1], "n_conv_per_stage_decoder": [1, 1]}
        if len(self.patch) == 2:
            kwargs |= {"kernel_sizes": [[3, 3]] * 3, "strides": [[1, 1], [2, 2], [2, 2]]}
            kwargs |= {key: kwargs[key].replace("3d", "2d") for key in ("conv_op", "norm_op")}
        if self.residual:
            architecture["network_class_name"] = architecture["network_class_name"].replace("PlainConv", "ResidualEncoder")
            kwargs["n_blocks_per_stage"] = kwargs.pop("n_conv_per_stage")
        kwargs |= dict(self.layers)

    def _weights(self, plans: dict[str, Any]) -> dict[str, Any]:
        import torch

        from flare_trt.engine.base.torchvision_import import mend_torchvision

        mend_torchvision()
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

        torch.manual_seed(self.seed)
        architecture = copy.deepcopy(
            (plans["configurations"].get(CONFIGURATION) or plans["configurations"][self.configuration])["architecture"]
        )
        network = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            self._inputs,
            self.classes,
            allow_init=True,
            deep_supervision=False,
        )
        with torch.inference_mode():  # as often one class as another
            noise = torch.randn(1, self._inputs, *self.patch)
            noise[:, len(self.channels) :] = noise[:, len(self.channels) :] > 1
            logits = network.eval()(noise).flatten(2)[0]
            network.decoder.seg_layers[-1].weight /= logits.std(1).reshape(-1, 1, *[1] * len(self.patch))
            network.decoder.seg_layers[-1].bias -= network(noise).flatten(2)[0].mean(1)
        return dict(network.state_dict())


def organ_image(shape_zyx: tuple[int, int, int], seed: int = 0) -> NDArray[np.float32]:
    """Smooth organs with texture, mean 0 and deviation 1."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    organs = ndimage.gaussian_filter(rng.standard_normal(shape_zyx), 3)
    texture = ndimage.gaussian_filter(rng.standard_normal(shape_zyx), 0.6)
    return np.asarray(organs / organs.std() + 0.3 * texture / texture.std(), np.float32)


def head_mask(shape_zyx: tuple[int, int, int]) -> NDArray[np.bool_]:
    """An ellipsoid off the middle, with a closed hole and one that a canal opens."""
    z, y, x = (np.linspace(-1.1, 1.3, size) for size in shape_zyx)
    head = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 < 1
    middle = [size // 2 for size in shape_zyx]
    head[middle[0] - 3 : middle[0] + 2, middle[1] - 4 : middle[1] + 3, middle[2] - 5 : middle[2]] = False
    head[middle[0], middle[1] + 6 : middle[1] + 8, middle[2] :] = False
    return np.asarray(head)


def write_scan(path: Path, image: NDArray[Any], spacing_mm: tuple[float, float, float], orientation: str = "LPS") -> Path:
    """A NIfTI file of an image (z, y, x) that runs to Superior, Posterior, Left, stored in an orientation of nibabel's codes."""
    import nibabel
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    affine[:3, 3] = 31.5, -12.25, 7.0
    stored = nibabel.Nifti1Image(image.transpose(2, 1, 0), affine)
    turned = stored.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(tuple(orientation))))
    nibabel.save(turned, path)
    return path
