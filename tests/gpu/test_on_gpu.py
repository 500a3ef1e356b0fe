"""The whole pipeline on a GPU against the CPU's: on the fake one everywhere, and on a real one where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_network, write_tiny_bundle
from tests.fakes import fake_cupy, fake_tensorrt, shim_build
from tests.gpu.findings import CouldNotDoError, Findings
from tests.gpu.networks import DEVICE, choose_backend, on_cpu, on_gpu

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.engine.segmenter import Segmentation
from flare_trt.kernels import cuda_problem, load


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The network backend that the gate takes on this GPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pytest.importorskip("onnx", reason="the package onnx, which writes the network, is not installed")
    if request.param == "fake":
        pytest.importorskip("cuda.bindings.nvrtc", reason="tests/requirements-gpu-gates.txt is not installed")
        with fake_cupy.installed(shim_build.build("flare_host.cpp", shim_build.LIBRARY)), fake_tensorrt.installed():
            yield "tensorrt"
        return
    if problem := cuda_problem():
        pytest.skip(problem)
    findings = Findings(tmp_path / "found.json")
    try:
        yield choose_backend(findings)
    except CouldNotDoError as reason:
        pytest.skip(f"{reason}: {'; '.join(findings.notes)}")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two stages of one convolution each."""
    return write_tiny_bundle(tmp_path / "two", coarse=True)


@pytest.fixture
def ct() -> Volume:
    """A phantom of a different odd size on each axis, shrunk: it is resampled to the networks' spacing, which makes the work."""
    from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom

    array = make_phantom(1, (27, 63, 71), (9.0, 5.0, 4.5), PhantomOptions(centre_mm=0.0))[0].array
    return Volume(array, Grid(array.shape, (4.0, 2.6, 2.4)))


def segment_on_cpu(bundle: Path, ct: Volume, tmp_path: Path) -> Segmentation:
    with on_cpu(bundle, "exact", Findings(tmp_path / "cpu.json")) as segmenter:
        return segmenter.segment(ct)


def test_a_cascade_gives_the_cpu_s_labels_in_the_cpu_s_way(backend: str, bundle: Path, ct: Volume, tmp_path: Path) -> None:
    expected = segment_on_cpu(bundle, ct, tmp_path)
    with on_gpu(bundle, "exact", backend) as segmenter:
        found = segmenter.segment(ct)
    assert len(np.unique(expected.labels.array)) == 4
    assert (found.labels.array == expected.labels.array).mean() > 0.9999
    assert (found.report.tiles, found.report.roi) == (expected.report.tiles, expected.report.roi)
    assert (found.report.kernels, found.report.device) == ("cuda", DEVICE)


def test_fast_keeps_the_labels(backend: str, bundle: Path, ct: Volume) -> None:
    labels = []
    for mode in ("exact", "fast"):
        with on_gpu(bundle, mode, backend) as segmenter:  # type: ignore[arg-type]  # mypy reads a str
            labels.append(segmenter.segment(ct).labels.array)
    assert (labels[0] == labels[1]).mean() > 0.99


def test_an_array_on_the_gpu_is_left_as_it_was_and_gives_labels_there(backend: str, bundle: Path, ct: Volume) -> None:
    kernels = load(DEVICE)
    array = kernels.upload(np.asarray(ct.array))
    with on_gpu(bundle, "exact", backend) as segmenter:
        from_host = segmenter.segment(ct).labels.array
        on_device = segmenter.segment_array(array, ct.grid).labels.array
    assert type(on_device) is type(array)
    assert np.array_equal(kernels.download(on_device), from_host)
    assert np.array_equal(kernels.download(array), ct.array)


@pytest.mark.parametrize("wrong", ["strides", "dtype"])
def test_an_array_that_would_need_a_copy_is_refused(backend: str, bundle: Path, ct: Volume, wrong: str) -> None:
    kernels, host = load(DEVICE), np.asarray(ct.array)
    array: Any = kernels.upload(host)[:, :, ::2] if wrong == "strides" else kernels.upload(host.astype(np.int32))
    grid = ct.grid if wrong == "dtype" else replace(ct.grid, shape_zyx=array.shape)
    with on_gpu(bundle, "exact", backend) as segmenter, pytest.raises(InputError, match="on the GPU, expected"):
        segmenter.segment_array(array, grid)


def test_a_session_gives_the_same_twice_and_refuses_what_it_must(backend: str, tmp_path: Path) -> None:
    network = write_network(tmp_path / "net.onnx")
    kernels, session = load(DEVICE), open_session(backend, network, SessionOptions(DEVICE))
    tile = np.random.default_rng(0).standard_normal(session.input_shape).astype(np.float32)
    expected = open_session("onnxruntime", network, SessionOptions()).run(tile)
    with kernels.active():
        for _ in range(3):  # plainly, captured, replayed
            found = kernels.download(session.run(kernels.upload(tile)))
            np.testing.assert_allclose(found, expected, atol=1e-5)
        with pytest.raises(ValueError, match="tile: got"):
            session.run(kernels.upload(tile[:, :, 1:]))
        session.close()
        with pytest.raises(ValueError, match="closed"):
            session.run(kernels.upload(tile))


def test_a_torch_tensor_on_the_gpu_is_taken(bundle: Path, ct: Volume, backend: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    tensor = torch.from_numpy(np.array(ct.array)).to(DEVICE)
    with on_gpu(bundle, "exact", backend) as segmenter:
        found = segmenter.segment_array(tensor, ct.grid).labels.array
        expected = segmenter.segment(ct).labels.array
    assert np.array_equal(load(DEVICE).download(found), expected)
