from __future__ import annotations

import json

import pytest

from flare_trt.training.fit.plans import NETWORKS, make_plans

FINGERPRINT = {
    "spacings": [[5.0, 0.8, 0.8], [2.5, 0.7, 0.7], [1.0, 0.9, 0.9]],
    "shapes_after_crop": [[60, 512, 512], [100, 500, 512], [300, 512, 512]],
    "foreground_intensity_properties_per_channel": {
        "0": {
            "mean": 80.0,
            "std": 141.0,
            "percentile_00_5": -973.0,
            "percentile_99_5": 295.0,
            "min": -1000,
            "max": 900,
            "median": 90.0,
        }
    },
}


@pytest.mark.parametrize(
    ("kind", "spacing", "features", "convs"), [("coarse", [2.5, 0.79, 0.79], 24, 2), ("fine", [0.8, 0.79, 0.79], 32, 3)]
)
def test_the_plans_are_the_paper_s_table_1(kind: str, spacing: list[float], features: int, convs: int) -> None:
    plans = make_plans(FINGERPRINT, "Dataset501_FLAREFine", kind)  # type: ignore[arg-type]
    network = plans["configurations"][kind]
    arguments = network["architecture"]["arch_kwargs"]
    assert network["spacing"] == spacing
    assert network["patch_size"] == [96, 160, 128]
    assert arguments["features_per_stage"][0] == features
    assert set(arguments["n_conv_per_stage"] + arguments["n_conv_per_stage_decoder"]) == {convs}
    assert arguments["strides"] == [[1, 1, 1]] + [[2, 2, 2]] * 5
    assert set(plans["configurations"]) == {kind, f"{kind}_cpu", f"{kind}_mini"}
    assert json.loads(json.dumps(plans)) == plans


@pytest.mark.peer
@pytest.mark.parametrize(("kind", "heads", "millions"), [("coarse", 14, 25.7), ("fine", 15, 44.2)])
def test_nnunet_builds_the_network_from_the_plans(kind: str, heads: int, millions: float) -> None:
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(make_plans(FINGERPRINT, "x", kind)).get_configuration(kind)  # type: ignore[arg-type]
    network = get_network_from_plans(
        manager.network_arch_class_name,
        manager.network_arch_init_kwargs,
        manager.network_arch_init_kwargs_req_import,
        1,
        heads,
        allow_init=False,
        deep_supervision=False,
    )
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_every_patch_divides_by_its_strides() -> None:
    for network in NETWORKS.values():
        for axis in range(3):
            down = 1
            for stride in network.strides_zyx:
                down *= stride[axis]
            assert network.patch_zyx[axis] % down == 0
