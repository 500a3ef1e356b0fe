"""Folders in the shape of TotalSegmentator's five, with small random weights: merged labels equal nnU-Net's, merged likewise.

Its plans are in the format of 2023, read by NibabelIOWithReorient at 1.5 mm, trained by nnUNetTrainerNoMirroring.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.engine.test_nnunet_parity import EXACT, bundle_of
from tests.shared_data import shared_file

from flare_trt.benchmarks.inputs.model_folder import write_model_folder
from flare_trt.benchmarks.inputs.real_networks import RealNetwork
from flare_trt.engine.batch.combine import combine, combined_names
from flare_trt.engine.scans.image_files import read_ct

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

#: Two of the five, with fewer classes.
PARTS = {"organs": 9, "muscles": 7}


def part(name: str, classes: int, scan: Path, folder: Path) -> Path:
    network = RealNetwork(
        name=name,
        features=(4, 8, 8),
        strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
        convs=(1, 1, 1),
        decoder_convs=1,
        patch_zyx=(40, 44, 48),
        spacing_mm=(1.5, 1.5, 1.5),
        classes=classes,
        reader="NibabelIOWithReorient",
        trainer="nnUNetTrainerNoMirroring",
    )
    write_model_folder(network, read_ct(scan), folder)
    plans, dataset = (json.loads((folder / file).read_text()) for file in ("plans.json", "dataset.json"))
    fullres = plans["configurations"]["3d_fullres"]
    kwargs = fullres.pop("architecture")["arch_kwargs"]
    fullres.update(
        UNet_class_name="PlainConvUNet",
        UNet_base_num_features=4,
        unet_max_num_features=8,
        n_conv_per_stage_encoder=kwargs["n_conv_per_stage"],
        n_conv_per_stage_decoder=kwargs["n_conv_per_stage_decoder"],
        conv_kernel_sizes=kwargs["kernel_sizes"],
        pool_op_kernel_sizes=kwargs["strides"],
        num_pool_per_axis=[2, 2, 2],
    )
    dataset["labels"] = {"background": 0, **{f"{name}_{value}": value for value in range(1, classes)}}
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def test_merged_labels_equal_nnunets(tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    whole = nibabel.load(shared_file("ts_example", "ct.nii.gz"))
    cut = np.asarray(whole.dataobj)[30:75, 30:69, 50:81].astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(cut, whole.affine), tmp_path / "ct.nii.gz")
    scan = tmp_path / "ct.nii.gz"
    folders = [part(name, classes, scan, tmp_path / name) for name, classes in PARTS.items()]
    bundles = [bundle_of(folder, tmp_path / f"{folder.name}.zip") for folder in folders]
    names = combined_names(bundles)
    assert len(names) == sum(PARTS.values()) - len(PARTS)
    merged = combine(read_ct(scan), bundles, names, EXACT, lambda model: lambda stage, done, total: None).labels.array
    values = {name: value for value, name in names.items()}
    expected = np.zeros_like(merged)
    for folder, (name, classes) in zip(folders, PARTS.items(), strict=True):
        theirs = predict_with_nnunet(folder, scan)
        for value in range(1, classes):
            expected[theirs == value] = values[f"{name}_{value}"]
    assert len(np.unique(expected)) >= 8, "too few classes to mean anything"
    assert (merged != expected).mean() <= 1e-4
