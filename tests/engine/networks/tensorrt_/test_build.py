"""Networks built by trt_build.py on TensorRT-RTX, whose parser is TensorRT's and whose builder needs no GPU.

RTX is another product: a plan of it is no TensorRT plan, and it lacks SM90 and SM100. What it accepts is strong evidence.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.networks.int8_net import int8_net
from tests.engine.networks.test_backends import PATCH, conv_net
from tests.shared_data import shared_file

ROOT = Path(__file__).resolve().parents[4]
AMPERE_ON = "SM80,SM86,SM89,SM120"
#: RTX has no fp32 3-D convolution on Turing.
TARGETS = {"fp32": AMPERE_ON, "fp16": f"SM75,{AMPERE_ON}"}


def build(onnx: Path, precision: str, targets: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("tensorrt_rtx", reason="tests/requirements-gpu-gates.txt is not installed")
    command = [sys.executable, "-m", "tests.engine.networks.rtx_build", str(onnx), precision, targets]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("batch", [1, "n"])
def test_a_network_is_built(precision: str, batch: int | str, tmp_path: Path) -> None:
    done = build(conv_net(tmp_path / "net.onnx", [batch, 1, *PATCH]), precision, TARGETS[precision])
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 10_000


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_int8_network_is_built(precision: str, tmp_path: Path) -> None:
    done = build(int8_net(tmp_path / "net.onnx"), precision, AMPERE_ON)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 10_000


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_trained_network_is_built(precision: str) -> None:
    # on Turing RTX makes its depthwise convolutions dense in fp16, which takes 2 GB of workspace
    done = build(shared_file("teacher_flare25", "exported_model.onnx"), precision, AMPERE_ON)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100_000


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("residual", [False, True], ids=["PlainConvUNet", "ResidualEncoderUNet"])
def test_an_exported_unet_is_built(residual: bool, precision: str, tmp_path: Path) -> None:
    done = build(exported_unet(tmp_path / "unet.onnx", residual), precision, TARGETS[precision])
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100_000


def exported_unet(path: Path, residual: bool) -> Path:
    """A small network of nnU-Net's own classes through our exporter."""
    nn = pytest.importorskip("torch").nn
    unets = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    from flare_trt.export.to_onnx import write_onnx

    make, depth = (unets.ResidualEncoderUNet, "n_blocks_per_stage") if residual else (unets.PlainConvUNet, "n_conv_per_stage")
    network = make(
        input_channels=1,
        n_stages=3,
        features_per_stage=(8, 16, 32),
        conv_op=nn.Conv3d,
        kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        strides=[[1, 1, 1], [2, 2, 2], [1, 2, 2]],
        num_classes=4,
        n_conv_per_stage_decoder=(1, 1),
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=False,
        **{depth: (1, 2, 2)},
    )
    write_onnx(network.eval(), (16, 32, 24), path)
    return path


def test_what_the_parser_refuses_is_named(tmp_path: Path) -> None:
    onnx = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])
    onnx.write_bytes(onnx.read_bytes().replace(b"LeakyRelu", b"LeakyNope"))
    done = build(onnx, "fp32", AMPERE_ON)
    assert done.returncode != 0
    assert "BundleError: net.onnx: TensorRT" in done.stderr
    assert "LeakyNope" in done.stderr
