"""Networks are built by name out of tables and filled strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.checkpoint import load_checkpoint
from flare_trt.export.configuration import Architecture, architecture_of, configuration_of
from flare_trt.export.json_file import read_object
from flare_trt.export.network import build_network, load_weights

torch = pytest.importorskip("torch")
pytest.importorskip("dynamic_network_architectures")


@pytest.fixture
def plain(golden: Callable[[str], Path]) -> tuple[Architecture, dict[str, Any]]:
    folder = golden("plain")
    weights = load_checkpoint(folder / "fold_0" / "checkpoint_final.pth").weights
    return architecture_of(configuration_of(read_object(folder / "plans.json"), "3d_fullres")), weights


def filled(architecture: Architecture, heads: int, weights: dict[str, Any]) -> Any:
    return load_weights(build_network(architecture, heads), weights, "plans.json")


def test_one_output_in_evaluation_mode(plain: tuple[Architecture, dict[str, Any]]) -> None:
    network = load_weights(build_network(plain[0], 14), plain[1], "plans.json")
    assert not network.training
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 16, 24, 32)).shape == (1, 14, 16, 24, 32)


def test_doubled_names_are_not_needed(plain: tuple[Architecture, dict[str, Any]]) -> None:
    """Each parameter of the encoder and each convolution has two to four names in a checkpoint."""
    architecture, weights = plain
    single = {name: w for name, w in weights.items() if not name.startswith("decoder.encoder") and "all_modules" not in name}
    assert len(single) < len(weights) / 2
    other = {name: w for name, w in weights.items() if name.startswith("decoder")}
    image = torch.randn(1, 1, 16, 24, 16)
    with torch.inference_mode():
        results = [filled(architecture, 14, some)(image) for some in (weights, single, other)]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_weights_that_do_not_fit_are_refused(plain: tuple[Architecture, dict[str, Any]]) -> None:
    architecture, weights = plain
    name = "encoder.stages.0.0.convs.0.conv.weight"
    missing = {k: w for k, w in weights.items() if "seg_layers.2" not in k}
    with pytest.raises(
        ExportError, match=r"2 are missing \(decoder.seg_layers.2.weight, .*0 are unknown \(none\); .*custom trainer"
    ):
        filled(architecture, 14, missing)
    with pytest.raises(ExportError, match=r"0 are missing \(none\), 1 are unknown \(running_mean\)"):
        filled(architecture, 14, {**weights, "running_mean": torch.zeros(3)})
    with pytest.raises(ExportError, match=r"seg_layers.0.weight: got \(14, 16, 1, 1, 1\), expected \(15, 16, 1, 1, 1\)"):
        filled(architecture, 15, weights)
    with pytest.raises(ExportError, match=r"are one parameter but hold different weights"):
        filled(architecture, 14, {**weights, name: weights[name] + 1})
    with pytest.raises(ExportError, match=r"decoder.seg_layers.2.bias: holds NaN or infinite weights"):
        filled(architecture, 14, {**weights, "decoder.seg_layers.2.bias": torch.full((14,), torch.nan)})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"class_name": "os.system"}, "architecture: got 'os.system', expected PlainConvUNet or ResidualEncoderUNet"),
        ({"conv_op": "subprocess.Popen"}, "architecture.conv_op: got 'subprocess.Popen', expected one of Conv3d"),
        ({"conv_op": "torch.nn.modules.conv.Conv1d"}, "architecture.conv_op: got 'torch.nn.modules.conv.Conv1d'"),
        ({"norm_op": "torch.nn.GroupNorm"}, "architecture.norm_op: got 'torch.nn.GroupNorm'"),
        ({"nonlin": 3}, "architecture.nonlin: got 3"),
        ({"n_stages": 7}, "PlainConvUNet cannot be built: AssertionError"),
        ({"surprise": 1}, "PlainConvUNet cannot be built: TypeError: .*surprise"),
    ],
)
def test_plans_cannot_load_code(plain: tuple[Architecture, dict[str, Any]], change: dict[str, Any], word: str) -> None:
    architecture, weights = plain
    if "class_name" in change:
        architecture = replace(architecture, **change)
    else:
        architecture = replace(architecture, kwargs={**architecture.kwargs, **change})
    with pytest.raises(ExportError, match=word):
        filled(architecture, 14, weights)
