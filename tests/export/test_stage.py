"""Plans become the stage that nnU-Net itself would run, or are refused with a word that says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.golden.variants import GOLDEN

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.model.spec import NetworkFile, StageSpec
from flare_trt.export.configuration import architecture_of, configuration_of
from flare_trt.export.json_file import JsonObject, read_object
from flare_trt.export.stage import stage_of

DATASET = JsonObject({"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}, "dataset.json")


def stage(plans: JsonObject, dataset: JsonObject = DATASET, name: str = "3d_fullres", orientation: str | None = None) -> StageSpec:
    return stage_of(plans, configuration_of(plans, name), dataset, (NetworkFile("fine.onnx"),), orientation)


@pytest.mark.peer
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_folders_as_nnunet_reads_them(golden: Callable[[str], Path], name: str) -> None:
    handler = pytest.importorskip("nnunetv2.utilities.plans_handling.plans_handler")
    folder = golden(name)
    configuration = "3d_child" if name == "inherited" else "3d_fullres"
    manager = handler.PlansManager(str(folder / "plans.json"))
    theirs = manager.get_configuration(configuration)
    dataset = json.loads((folder / "dataset.json").read_text())
    labels = manager.get_label_manager(dataset)

    plans = read_object(folder / "plans.json")
    ours = stage(plans, read_object(folder / "dataset.json"), configuration)
    assert ours.spacing_mm == tuple(theirs.spacing)
    assert ours.patch_zyx == tuple(theirs.patch_size)
    assert ours.transpose_forward == tuple(manager.transpose_forward)
    intensity = manager.foreground_intensity_properties_per_channel["0"]
    assert ours.channels == ()
    assert ours.of_one_ct.low_hu == intensity["percentile_00_5"]
    assert ours.of_one_ct.high_hu == intensity["percentile_99_5"]
    assert (ours.of_one_ct.mean_hu, ours.of_one_ct.std_hu) == (intensity["mean"], intensity["std"])
    for kwargs, order, order_z in [
        (theirs.resampling_fn_data.keywords, ours.image_order, ours.image_order_z),
        (theirs.resampling_fn_probabilities.keywords, ours.logits_order, ours.logits_order_z),
    ]:
        assert (order, order_z, ours.separate_z) == (kwargs["order"], kwargs["order_z"], kwargs["force_separate_z"])
    assert len(ours.channel_values) == labels.num_segmentation_heads
    assert ours.activation == ("regions" if labels.has_regions else "argmax")
    assert list(ours.channel_values) == (dataset["regions_class_order"] if labels.has_regions else labels.all_labels)

    network = architecture_of(configuration_of(plans, configuration))
    assert network.class_name.rpartition(".")[2] == theirs.network_arch_class_name.rpartition(".")[2]
    assert network.kwargs == theirs.network_arch_init_kwargs
    assert list(network.imported) == theirs.network_arch_init_kwargs_req_import


def test_defaults_of_the_resampling_function(plans: JsonObject, fullres: dict[str, Any]) -> None:
    """A missing force_separate_z is False in nnU-Net's function; only null lets the anisotropy decide."""
    assert stage(plans).separate_z is None
    fullres["resampling_fn_data_kwargs"] = {}
    fullres["resampling_fn_probabilities_kwargs"] = {"order": 1}
    found = stage(plans)
    assert (found.separate_z, found.image_order, found.logits_order, found.logits_order_z) == (False, 3, 1, 0)


@pytest.mark.parametrize(
    ("reader", "orientation"),
    [
        ("SimpleITKIO", "as-stored"),
        ("NibabelIO", "as-stored"),
        ("NibabelIOWithReorient", "SAR"),
        ("SimpleITKIOWithReorient", "SAR"),
    ],
)
def test_orientation_comes_from_the_reader_unless_given(plans: JsonObject, reader: str, orientation: str) -> None:
    plans.data["image_reader_writer"] = reader
    assert stage(plans).orientation == orientation
    assert stage(plans, orientation="SPL").orientation == "SPL"


@pytest.mark.parametrize(
    ("scheme", "masked", "expected"),
    [
        ("ZScoreNormalization", True, ("zscore", True)),
        ("ZScoreNormalization", False, ("zscore", False)),
        ("NoNormalization", True, ("none", False)),
        ("RescaleTo01Normalization", False, ("range_0_1", False)),
        ("RGBTo01Normalization", False, ("rgb_0_1", False)),
    ],
)
def test_other_intensities(
    plans: JsonObject, fullres: dict[str, Any], scheme: str, masked: bool, expected: tuple[Any, bool]
) -> None:
    """A mask means something to ZScoreNormalization alone."""
    fullres.update(normalization_schemes=[scheme], use_mask_for_norm=[masked])
    found = stage(plans, JsonObject({**DATASET.data, "channel_names": {"0": "T2"}}, "dataset.json"))
    assert found.intensity is None
    assert found.inputs == (ChannelSpec("T2", expected[0], None, expected[1]),)


def test_a_2d_configuration(plans: JsonObject, fullres: dict[str, Any]) -> None:
    fullres.update(spacing=[1.5, 1.6], patch_size=[64, 48])
    found = stage(plans)
    assert (found.slices, found.patch_zyx, found.spacing_mm[1:]) == (True, (1, 64, 48), (1.5, 1.6))
    assert found.spacing_told == "own x 1.5 x 1.6"
    assert [found.step_along(axis) for axis in range(3)] == [1.0, 0.5, 0.5]


SEG = {"is_seg": True, "force_separate_z": None}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"preprocessor_name": "MyPreprocessor"}, "preprocessor_name: got 'MyPreprocessor', expected 'DefaultPreprocessor'"),
    ({"normalization_schemes": ["MyNorm"]}, r"normalization_schemes: got 'MyNorm' for channel 0 \(CT\), expected one of CTNorm"),
    (
        {"normalization_schemes": [["CTNormalization"]]},
        r"normalization_schemes: got \['CTNormalization'\] for channel 0 \(CT\), expected",
    ),
    ({"normalization_schemes": ["CTNormalization"] * 2}, r": got 2 normalization_schemes and 1 values of .*, expected 1.* \(CT\)"),
    ({"use_mask_for_norm": [1]}, "use_mask_for_norm: got 1 for channel 0, expected true or false"),
    ({"previous_stage": "../other"}, "previous_stage: got '../other', expected the name of a configuration"),
    ({"previous_stage": "3d_lowres", "resampling_fn_seg_kwargs": SEG | {"order": 3}}, "order: got 3, expected 0 or 1"),
    ({"previous_stage": "3d_lowres", "resampling_fn_seg_kwargs": SEG | {"is_seg": False}}, "is_seg: got False, expected True"),
    ({"previous_stage": "3d_lowres", "resampling_fn_seg_kwargs": SEG | {"order_z": 1}}, "order_z: got 1, expected 0"),
    (
        {"previous_stage": "3d_lowres", "resampling_fn_seg_kwargs": {"is_seg": True}},
        "force_separate_z None for data and False for seg",
    ),
    ({"spacing": [3.0, 3.0]}, "spacing: got 2 values, expected 3; only 3-D configurations"),
    ({"patch_size": [32, "48", 40]}, "patch_size: got .*, expected a list of finite numbers"),
    ({"resampling_fn_data": "resample_my_way"}, "resampling_fn_data: got 'resample_my_way', expected one of resample_data_or_seg"),
    ({"resampling_fn_data": "resample_torch_fornnunet"}, "resampling_fn_data_kwargs: got order, order_z, expected only aniso_axis"),
    (
        {"resampling_fn_probabilities": "no_resampling_hack", "resampling_fn_probabilities_kwargs": {}},
        "resampling_fn_probabilities: resamples none and the images spline",
    ),
    ({"resampling_fn_data_kwargs": {"order": 3, "order_z": 3, "force_separate_z": None}}, "image_order_z: got 3, expected 0 or 1"),
    ({"resampling_fn_data_kwargs": {"mode": "torch"}}, "resampling_fn_data_kwargs: got mode, expected only"),
    ({"resampling_fn_data_kwargs": {"is_seg": True}}, "is_seg: got True"),
    ({"resampling_fn_data_kwargs": {"separate_z_anisotropy_threshold": 5}}, "separate_z_anisotropy_threshold: got 5, expected 3"),
    ({"resampling_fn_data_kwargs": {"force_separate_z": True}}, "force_separate_z True for data and None for probabilities"),
    ({"resampling_fn_data_kwargs": {"order": 2, "force_separate_z": None}}, "cannot be followed: .*image_order: got 2"),
]


@pytest.mark.parametrize(("change", "word"), REFUSED)
def test_what_cannot_be_followed_is_refused(plans: JsonObject, fullres: dict[str, Any], change: dict[str, Any], word: str) -> None:
    fullres.update(change)
    with pytest.raises(ExportError, match=rf"plans.json: configurations.3d_fullres.*{word}"):
        stage(plans)


PLANS_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"image_reader_writer": "Tiff3DIO"}, "image_reader_writer: got 'Tiff3DIO', expected one of SimpleITKIO.*--orientation"),
    ({"label_manager": "MyLabels"}, "label_manager: got 'MyLabels', expected 'LabelManager'"),
    ({"transpose_forward": [2, 0, 1]}, r"got transpose_forward \(2, 0, 1\) and transpose_backward \(0, 1, 2\), expected inverses"),
    ({"foreground_intensity_properties_per_channel": {"0": {"mean": 1.0}}}, "the key 'percentile_00_5' is missing"),
]


@pytest.mark.parametrize(("change", "word"), PLANS_REFUSED)
def test_plans_that_cannot_be_followed_are_refused(plans: JsonObject, change: dict[str, Any], word: str) -> None:
    plans.data.update(change)
    with pytest.raises(ExportError, match=word):
        stage(plans)


def test_inheritance_ends(plans: JsonObject) -> None:
    plans.data["configurations"]["a"] = {"inherits_from": "b"}
    plans.data["configurations"]["b"] = {"inherits_from": "a"}
    plans.data["configurations"]["c"] = {"inherits_from": "gone"}
    with pytest.raises(ExportError, match=r"inherits_from runs in a circle: a > b > a"):
        configuration_of(plans, "a")
    with pytest.raises(ExportError, match=r"got the configuration 'gone', expected one of 3d_fullres, a, b, c"):
        configuration_of(plans, "c")


@pytest.mark.peer
def test_old_residual_plans_as_nnunet_reads_them(fullres: dict[str, Any]) -> None:
    handler = pytest.importorskip("nnunetv2.utilities.plans_handling.plans_handler")
    fullres.pop("architecture")
    fullres.update(
        UNet_class_name="ResidualEncoderUNet",
        UNet_base_num_features=32,
        unet_max_num_features=100,
        n_conv_per_stage_encoder=[1, 3, 4],
        n_conv_per_stage_decoder=[1, 2],
        conv_kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        pool_op_kernel_sizes=[[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        num_pool_per_axis=[1, 2, 2],
    )
    ours = architecture_of(JsonObject(dict(fullres), "plans.json"))
    theirs = handler.ConfigurationManager(dict(fullres))
    assert ours.kwargs == theirs.network_arch_init_kwargs
    assert ours.kwargs["features_per_stage"] == [32, 64, 100]
