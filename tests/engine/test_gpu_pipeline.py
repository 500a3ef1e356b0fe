"""The whole pipeline on the fake GPU (CUDA sources in g++, fake CuPy, fake TensorRT) against the same pipeline on the CPU."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.afterwards_spec import ComponentRule
from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.engine.passes.predict import run_mirrored
from flare_trt.engine.segmenter import Segmentation, Segmenter
from flare_trt.kernels import Intensity, load
from flare_trt.kernels.cuda.gpu import Gpu
from tests.engine.networks.test_backends import PATCH, conv_net
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.fakes import device_memory, fake_cupy, fake_tensorrt, shim_build
from tests.golden.made import head_mask, organ_image

CPU = RunOptions(device="cpu", backend="onnxruntime")
GPU = RunOptions(device="cuda:0", backend="tensorrt")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def segment(bundle: Path, options: RunOptions, ct: Volume) -> Segmentation:
    with Segmenter.open(bundle, options) as segmenter:
        return segmenter.segment(ct)


def test_labels_equal_those_of_the_cpu(gpu: None, bundle: Path, ct: Volume) -> None:
    on_cpu, on_gpu = (segment(bundle, options, ct) for options in (CPU, GPU))
    assert (on_gpu.report.kernels, on_gpu.report.backend, on_gpu.report.precision) == ("cuda", "tensorrt", "fp32")
    assert len(np.unique(on_cpu.labels.array)) == 4
    assert (on_gpu.labels.array == on_cpu.labels.array).mean() > 0.9999


def test_a_cascade_goes_the_cpu_s_way(gpu: None, tmp_path: Path, ct: Volume) -> None:
    bundle = write_tiny_bundle(tmp_path / "two", coarse=True)
    on_cpu, on_gpu = (segment(bundle, options, ct) for options in (CPU, GPU))
    assert on_gpu.report.roi == on_cpu.report.roi
    assert on_gpu.report.tiles == on_cpu.report.tiles
    assert (on_gpu.labels.array == on_cpu.labels.array).mean() > 0.9999


def test_labels_of_16_bits(gpu: None, tmp_path: Path, ct: Volume) -> None:
    """With a rule for pieces, which looks at each label's box and components."""
    bundle = write_tiny_bundle(
        tmp_path / "wide",
        channel_values=(0, 255, 256, 40000),
        labels=tuple(LabelSpec(value, f"organ {value}", "#aa3311") for value in (255, 256, 40000)),
        postprocessing=(ComponentRule((255, 40000), keep_largest=True),),
    )
    on_cpu, on_gpu = (segment(bundle, options, ct) for options in (CPU, GPU))
    assert np.unique(on_cpu.labels.array).tolist() == [0, 255, 256, 40000]
    assert on_gpu.labels.array.dtype == np.uint16
    assert on_gpu.report.postprocessing
    assert (on_gpu.labels.array == on_cpu.labels.array).mean() > 0.9999


def test_channels_in_the_scan_s_own_intensities(gpu: None, tmp_path: Path) -> None:
    """Moments, ranges and the mask: a scan on the host, and one on the GPU."""
    channels = (
        ChannelSpec("T1", "zscore", masked=True),
        ChannelSpec("T2", "range_0_1"),
        ChannelSpec("CT", "ct", Intensity(-9.0, 900.0, 300.0, 90.0)),
    )
    bundle, shape = write_tiny_bundle(tmp_path / "three", channels=channels), (21, 34, 29)
    head = head_mask(shape)
    scan = np.stack([np.where(head, 300 + 90 * organ_image(shape, seed), 0) for seed in range(3)]).astype(np.float32)
    grid = Grid(shape, (2.0, 1.9, 1.8))
    with Segmenter.open(bundle, CPU) as segmenter:
        on_cpu = segmenter.segment_array(scan, grid).labels.array
    assert len(np.unique(on_cpu)) == 4
    with Segmenter.open(bundle, GPU) as segmenter:
        from_host = segmenter.segment_array(scan, grid).labels.array
        on_gpu = load("cuda").download(segmenter.segment_array(load("cuda").upload(scan), grid).labels.array)
    assert (from_host == on_cpu).mean() > 0.9999
    assert np.array_equal(on_gpu, from_host)


def test_a_fault_in_one_kernel_shows_in_the_labels(gpu: None, bundle: Path, ct: Volume) -> None:
    fault = shim_build.edited("ring.cu", "(start + voxel.z) % ring_z", "(start + voxel.z + 1) % ring_z")
    with fake_cupy.installed(shim_build.build("flare_host.cpp", shim_build.LIBRARY, fault)):
        on_gpu = segment(bundle, GPU, ct)
    assert (on_gpu.labels.array == segment(bundle, CPU, ct).labels.array).mean() < 0.999


def test_fast_runs_in_fp16(gpu: None, bundle: Path, ct: Volume) -> None:
    on_cpu, on_gpu = (segment(bundle, replace(options, mode="fast"), ct) for options in (CPU, GPU))
    assert on_gpu.report.precision == "fp16"
    assert (on_gpu.labels.array == on_cpu.labels.array).mean() > 0.995


def test_mirroring(gpu: None, tmp_path: Path) -> None:
    onnx, kernels = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH]), load("cuda")
    tile = np.random.default_rng(0).normal(size=(1, 1, *PATCH)).astype(np.float32)
    on_cpu = run_mirrored(open_session("onnxruntime", onnx, SessionOptions()), tile, (0, 2))
    on_gpu = run_mirrored(open_session("tensorrt", onnx, SessionOptions("cuda:0")), kernels.upload(tile), (0, 2))
    # ONNX Runtime on a CPU normalises by means of its own (ort_/means.py), the stand-in for TensorRT by the network's; a wrong axis
    # would differ by more than 0.1
    np.testing.assert_allclose(kernels.download(on_gpu), on_cpu, rtol=0, atol=2e-6)


def test_everything_on_the_gpu_is_freed(gpu: None, bundle: Path, ct: Volume) -> None:
    before = device_memory.POOL.used_bytes()
    segment(bundle, GPU, ct)
    assert device_memory.POOL.used_bytes() == before


def test_a_second_gpu_does_all_the_work(tmp_path: Path, bundle: Path, ct: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake refuses work on arrays of another GPU than the current one, so one that is forgotten fails."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = shim_build.build("flare_host.cpp", shim_build.LIBRARY)
    with fake_cupy.installed(library, devices=3), fake_tensorrt.installed(), device_memory.seen_devices() as seen:
        on_gpu = segment(bundle, replace(GPU, device="cuda:2"), ct)
        with pytest.raises(DeviceError, match="got cuda:3, expected cuda:0 to cuda:2"):
            segment(bundle, replace(GPU, device="cuda:3"), ct)
    assert seen == {2}
    assert on_gpu.report.device == "cuda:2"
    assert (on_gpu.labels.array == segment(bundle, CPU, ct).labels.array).mean() > 0.9999


def test_work_on_another_gpu_than_the_current_one_is_caught(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = load("cuda")
    array = kernels.upload(np.ones((3, 4, 5), np.float32))
    with device_memory.Device(1):
        assert kernels.value_range(array) == (1.0, 1.0)
        monkeypatch.setattr(Gpu, "active", lambda self: nullcontext())
        with pytest.raises(ValueError, match="same as the current device"):
            kernels.value_range(array)
