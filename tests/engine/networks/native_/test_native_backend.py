"""Our own kernels against ONNX Runtime: odd sizes on each axis, both widths of registers, any number of threads; and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import TUMOUR_MODEL, default_model
from flare_trt.engine.networks.native_ import backend
from flare_trt.engine.networks.native_.backend import fits, problem
from flare_trt.engine.networks.native_.onnx_graph import read_graph
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.kernels.native import COMPILED, set_threads
from tests.engine.networks.separable_net import separable_net
from tests.engine.networks.test_backends import conv_net, one_node_net

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))
ALL, FLAT, DOWN = (1, 1, 1), (1, 2, 2), (2, 2, 2)
#: (patch, strides): odd sizes at a half, one voxel along two axes, tails of every length behind vectors of 8 and 4 voxels.
NETS = [
    ((6, 10, 14), (ALL, DOWN)),
    ((4, 6, 38), (ALL, FLAT)),
    ((2, 2, 4), (ALL, DOWN)),
    ((12, 20, 44), (ALL, DOWN, DOWN)),
    ((24, 16, 72), (ALL, DOWN, DOWN, FLAT)),
    ((1, 46, 22), (ALL, FLAT)),
]


def tile(patch_zyx: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.2, (1, 1, *patch_zyx)).astype(np.float32)


@pytest.fixture(params=[256, 512])
def register_bits(request: pytest.FixtureRequest) -> Iterator[int]:
    compiled = import_module(COMPILED)
    if compiled.separable_register_bits() < request.param:
        pytest.skip(f"this processor has no registers of {request.param} bits")
    compiled.limit_separable_register_bits(request.param)
    yield request.param
    compiled.limit_separable_register_bits(0)


@pytest.mark.parametrize(("patch", "strides"), NETS, ids=[" ".join(map(str, patch)) for patch, _ in NETS])
@pytest.mark.parametrize("channels", [3, 14, 16, 19])
def test_logits_are_onnx_runtime_s(register_bits: int, patch, strides, channels: int, tmp_path: Path) -> None:
    file = separable_net(tmp_path / "net.onnx", patch, strides, channels, seed=channels)
    assert fits(file)
    ours, theirs = (open_session(name, file, SessionOptions()) for name in ("native", "onnxruntime"))
    assert (ours.channels, ours.input_shape) == (channels, (1, 1, *patch))
    for seed in range(2):  # the second finds what the first left in the maps
        expected = theirs.run(tile(patch, seed))
        np.testing.assert_allclose(ours.run(tile(patch, seed)), expected, atol=2e-4 * expected.std())


def test_threads_change_no_bit(register_bits: int, tmp_path: Path) -> None:
    patch = (12, 52, 44)
    session = open_session("native", separable_net(tmp_path / "net.onnx", patch, (ALL, DOWN, DOWN)), SessionOptions())
    found = []
    for threads in (1, 2, 3, 7):
        set_threads(threads)
        found.append(session.run(tile(patch)).copy())
    set_threads(0)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("model", [default_model(), TUMOUR_MODEL], ids=["default", "tumours"])
def test_the_package_s_networks_are_known_and_equal_openvino_s(model: Path) -> None:
    with open_bundle(model) as bundle:
        for stage in bundle.spec.stages.values():
            file = bundle.network_files(stage)[0]
            assert fits(file)
            ours, theirs = (open_session(name, file, SessionOptions()) for name in ("native", "openvino"))
            image = tile(stage.patch_zyx)
            expected = theirs.run(image)
            np.testing.assert_allclose(ours.run(image), expected, atol=1e-4 * expected.std())


def test_what_is_no_such_network_is_told(tmp_path: Path) -> None:
    dense = conv_net(tmp_path / "dense.onnx", [1, 1, 8, 12, 20])
    assert not fits(dense)
    with pytest.raises(BundleError, match=r"dense\.onnx: .*a convolution of \(4, 1, 3, 3, 3\) in 1 groups; use --backend openvino"):
        open_session("native", dense, SessionOptions())
    other = one_node_net(tmp_path / "other.onnx", "Flatten")
    assert not fits(other)
    with pytest.raises(BundleError, match="an operation Flatten"):
        open_session("native", other, SessionOptions())
    loose = conv_net(tmp_path / "loose.onnx", [1, 1, "z", 12, 20])
    with pytest.raises(BundleError, match=r"input has shape \(1, 1, 0, 12, 20\)"):
        open_session("native", loose, SessionOptions())


def test_a_file_is_read_once_while_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(backend, "read_graph", lambda file: read.append(file) or read_graph(file))
    file = separable_net(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN), 3)
    assert fits(file)
    assert open_session("native", file, SessionOptions()).channels == 3
    assert read == [file]
    separable_net(tmp_path / "other.onnx", (6, 10, 14), (ALL, DOWN), 5).replace(file)
    assert open_session("native", file, SessionOptions()).channels == 5
    assert len(read) == 2


def test_files_cut_anywhere_are_refused(tmp_path: Path) -> None:
    whole = separable_net(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN)).read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(whole), len(whole) // 60):
        cut.write_bytes(whole[:length])
        with pytest.raises(BundleError, match=r"cut\.onnx"):
            open_session("native", cut, SessionOptions())


def test_other_devices_and_precisions_are_refused_and_large_files_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = separable_net(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN))
    with pytest.raises(DeviceError, match="runs on the CPU only"):
        open_session("native", file, SessionOptions(device="cuda:0"))
    with pytest.raises(DeviceError, match="got precision fp16, expected fp32 or bf16"):
        open_session("native", file, SessionOptions(precision="fp16"))
    monkeypatch.setattr(backend, "has_bf16", lambda: False)
    with pytest.raises(DeviceError, match="this CPU has no bf16 arithmetic"):
        open_session("native", file, SessionOptions(precision="bf16"))
    monkeypatch.setattr(backend, "LARGEST_BYTES", 100)
    assert not fits(file)


def test_weights_of_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """The compiled code believes the sizes that it is told: each weight short of one value along either axis has to be found."""
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    good = onnx.load(str(separable_net(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN))))
    before_a_norm = {name for node in good.graph.node if node.op_type == "Conv" for name in node.input[2:]}
    before_a_norm -= set(good.graph.node[-1].input)
    for index, weight in enumerate(good.graph.initializer):
        if weight.name in before_a_norm:
            continue  # biases that are never read
        values = numpy_helper.to_array(weight)
        for axis in range(min(values.ndim, 2)):
            damaged = onnx.ModelProto.FromString(good.SerializeToString())
            shorter = np.delete(values, -1, axis)
            damaged.graph.initializer[index].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(shorter), weight.name))
            onnx.save(damaged, str(tmp_path / "damaged.onnx"))
            assert not fits(tmp_path / "damaged.onnx"), (weight.name, axis)
            with pytest.raises(BundleError, match=r"damaged\.onnx"):
                open_session("native", tmp_path / "damaged.onnx", SessionOptions())


def test_maps_larger_than_memory_are_told(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    vast = onnx.load(str(separable_net(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN))))
    for axis, size in zip((2, 3, 4), (10**7, 10**7, 10**7), strict=True):
        vast.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    onnx.save(vast, str(tmp_path / "vast.onnx"))
    with pytest.raises(BundleError, match=r"vast\.onnx: .*maps take 1.*e\+14 GB where there are"):
        open_session("native", tmp_path / "vast.onnx", SessionOptions())


def test_a_convolution_of_fewer_channels_than_it_reads_is_refused(tmp_path: Path) -> None:
    """Kernel, groups and the mixing behind it agree with one another, and not with the joined maps in front of them."""
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    net = onnx.load(str(separable_net(tmp_path / "net.onnx", (6, 10, 14), (ALL, DOWN))))
    joined = next(node for node in net.graph.node if node.op_type == "Concat").output[0]
    depthwise = next(node for node in net.graph.node if joined in node.input)
    mixing = next(node for node in net.graph.node if depthwise.output[0] in node.input)
    next(found for found in depthwise.attribute if found.name == "group").i = 16  # of 32
    for weight in net.graph.initializer:
        place = {depthwise.input[1]: np.s_[:16], mixing.input[1]: np.s_[:, :16]}.get(weight.name)
        if place is not None:
            fewer = np.ascontiguousarray(numpy_helper.to_array(weight)[place])
            weight.CopyFrom(numpy_helper.from_array(fewer, weight.name))
    onnx.save(net, str(tmp_path / "fewer.onnx"))
    assert not fits(tmp_path / "fewer.onnx")
    with pytest.raises(BundleError, match=r"a convolution of \(16, 1, 3, 3, 3\) in 16 groups"):
        open_session("native", tmp_path / "fewer.onnx", SessionOptions())
