"""`flare-trt info` tells the truth about this machine and about a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engine.tiny_bundle import LABELS, PATCH_ZYX, write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.afterwards_spec import ComponentRule, LesionGates
from flare_trt.engine.networks.session import OFFERED
from flare_trt.kernels import KERNEL_DEVICES, KernelsUnavailableError, load


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    assert main(["info", str(bundle), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {part["name"] for part in told["backends"]} == {"openvino", "native", "onnxruntime", "onnxruntime-tensorrt", "tensorrt"}
    assert told["devices"][0]["name"] == "cpu"
    assert told["libraries"]["numpy"]
    assert told["bundle"]["name"] == "tiny"
    assert told["bundle"]["fine"]["patch_zyx"] == list(PATCH_ZYX)


def test_kernels_that_are_said_to_work_load_and_the_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bundle"] is None
    assert [part["name"] for part in told["kernels"]] == list(KERNEL_DEVICES)
    for part in told["kernels"]:
        if part["problem"] is None:
            assert load(part["name"]).name == part["name"]
        else:
            with pytest.raises(KernelsUnavailableError):
                load(part["name"])


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(write_tiny_bundle(tmp_path / "tiny"))]) == 0
    text = capsys.readouterr().out
    for word in (*OFFERED, "devices", "kernels", "CC0-1.0 (of the weights)", "16 x 24 x 20", *(label.name for label in LABELS)):
        assert word in text


def test_what_is_barred_and_what_comes_after_the_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = (ComponentRule((1,), keep_largest=True), ComponentRule((2, 3), least_ml=2.0))
    folder = write_tiny_bundle(tmp_path / "tiny", postprocessing=rules, lesion_gates=LesionGates(3, least_ml=0.4))
    written = json.loads((folder / "bundle.json").read_text("utf-8"))
    written["barred"] = [{"backend": "onnxruntime", "reason": "logits differ by 0.02, the limit is 0.001"}]
    written["provenance"] |= {"exported_by": "flare-trt 0.1.0", "checked": "quick", "network_from": "plans"}
    (folder / "bundle.json").write_text(json.dumps(written), "utf-8")
    assert main(["info", str(folder)]) == 0
    text = capsys.readouterr().out
    told = "flare-trt 0.1.0, network by plans.json, by the user's word, one image compared on the default backend alone"
    assert f"  export   {told}\n" in text
    assert "  barred   onnxruntime: logits differ by 0.02, the limit is 0.001\n" in text
    assert "  then     largest piece of 1, small or far pieces of 2 and 3, gates on pieces of 3\n" in text


def test_a_bundle_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
