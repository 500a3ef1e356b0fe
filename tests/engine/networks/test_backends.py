"""One contract over every CPU backend: the shipped fake on its own file, the real ones on a small ONNX."""

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.fake import write_fake_network
from flare_trt.engine.networks.native_.backend import has_bf16
from flare_trt.engine.networks.session import BACKENDS, Session, SessionOptions, open_session
from tests.engine.networks.separable_net import separable_net

PATCH = (8, 12, 20)
CPU_BACKENDS = ("openvino", "onnxruntime", "native", "fake")


def conv_net(path: Path, shape: list[int | str], outputs: int = 1) -> Path:
    """A genuine two-layer net: 3x3x3 convolution to 4 channels, instance norm, leaky ReLU, 1x1x1 to 3 channels."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(3)
    weights = {
        "w1": rng.normal(size=(4, 1, 3, 3, 3)),
        "scale": rng.normal(size=4) + 1,
        "shift": rng.normal(size=4),
        "w2": rng.normal(size=(3, 4, 1, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1] * 6),
        helper.make_node("InstanceNormalization", ["a", "scale", "shift"], ["b"], epsilon=1e-5),
        helper.make_node("LeakyRelu", ["b"], ["c"], alpha=0.01),
        helper.make_node("Conv", ["c", "w2"], ["y0"]),
        *[helper.make_node("Identity", ["y0"], [f"y{i}"]) for i in range(1, outputs)],
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [shape[0], 3, *shape[2:]]) for i in range(outputs)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def one_node_net(path: Path, operator: str, **attributes: object) -> Path:
    """The image through one operator; ONNX has to infer what comes out."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    inputs = ["x", "index"] if operator == "Gather" else ["x"]
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **attributes)],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *PATCH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([7]), "index")][: len(inputs) - 1],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def open_on(backend: str, folder: Path, precision: Precision = "fp32") -> Session:
    if backend == "fake":
        return open_session(backend, write_fake_network(folder / "fake.onnx", PATCH, 3), SessionOptions())
    if backend == "native":
        network = separable_net(folder / "net.onnx", PATCH, ((1, 1, 1), (2, 2, 2)), 3)
        return open_session(backend, network, SessionOptions(precision=precision))
    pytest.importorskip(backend)
    return open_session(backend, conv_net(folder / "net.onnx", [1, 1, *PATCH]), SessionOptions(precision=precision))


def tile(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 1, *PATCH)).astype(np.float32)


@pytest.mark.parametrize(("backend", "precision"), [*((name, "fp32") for name in CPU_BACKENDS), ("native", "bf16")])
def test_contract(backend: str, precision: Precision, tmp_path: Path) -> None:
    if precision == "bf16" and not has_bf16():
        pytest.skip("this processor has no AVX512_BF16")
    session = open_on(backend, tmp_path, precision)
    assert (session.backend, session.device, session.precision) == (backend, "cpu", precision)
    assert session.input_shape == (1, 1, *PATCH)
    assert session.channels == 3
    first, second = session.run(tile(0)).copy(), session.run(tile(1)).copy()
    assert first.shape == (3, *PATCH)
    assert first.dtype == np.float32
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(session.run(tile(0)), first)
    read_only = tile(0)
    read_only.flags.writeable = False
    np.testing.assert_array_equal(session.run(read_only), first)
    for bad in (tile()[:, :, :-1], tile().astype(np.float64), tile()[..., ::-1]):
        with pytest.raises(ValueError, match="tile"):
            session.run(bad)
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session.run(tile())


def test_openvino_and_onnxruntime_agree(tmp_path: Path) -> None:
    a, b = (open_on(name, tmp_path).run(tile()).copy() for name in ("openvino", "onnxruntime"))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_free_batch_is_taken_as_one_and_other_free_sizes_are_refused(backend: str, tmp_path: Path) -> None:
    session = open_session(backend, conv_net(tmp_path / "free.onnx", ["n", 1, *PATCH]), SessionOptions())
    assert session.input_shape == (1, 1, *PATCH)
    with pytest.raises(BundleError, match="fixed sizes"):
        open_session(backend, conv_net(tmp_path / "loose.onnx", [1, 1, "z", 12, 20]), SessionOptions())
    with pytest.raises(BundleError, match="deep supervision"):
        open_session(backend, conv_net(tmp_path / "deep.onnx", [1, 1, *PATCH], outputs=2), SessionOptions())


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("operator", ["Flatten", "GlobalAveragePool"])
def test_logits_have_to_lie_on_the_input_s_voxels(backend: str, operator: str, tmp_path: Path) -> None:
    network = one_node_net(tmp_path / "other.onnx", operator)
    with pytest.raises(BundleError, match=r"other\.onnx: got an output of shape \[.*expected logits \(1, classes, z, y, x\)"):
        open_session(backend, network, SessionOptions())


def test_what_onnxruntime_only_finds_with_values_is_the_file_s_fault(tmp_path: Path) -> None:
    """A channel is picked that the image does not have."""
    network = one_node_net(tmp_path / "picks.onnx", "Gather", axis=1)
    with pytest.raises(BundleError, match=r"picks\.onnx: ONNX Runtime cannot (run|load) it: .*idx=7"):
        open_session("onnxruntime", network, SessionOptions()).run(tile())


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_names_that_are_no_text_are_refused(backend: str, tmp_path: Path) -> None:
    network = one_node_net(tmp_path / "named.onnx", "Flatten")
    network.write_bytes(network.read_bytes().replace(b"Flatten", b"\xc0latten"))
    with pytest.raises(BundleError, match=r"named\.onnx: .* cannot (read|load) it"):
        open_session(backend, network, SessionOptions())


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_rubbish_is_refused(backend: str, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"this is no network")
    with pytest.raises(BundleError, match=r"rubbish\.onnx"):
        open_session(backend, rubbish, SessionOptions())


def test_unknown_backends_and_devices_are_refused(tmp_path: Path) -> None:
    file = write_fake_network(tmp_path / "fake.onnx", PATCH, 3)
    with pytest.raises(DeviceError, match="expected one of"):
        open_session("nonesuch", file, SessionOptions())
    for backend in ("fake", "openvino"):
        with pytest.raises(DeviceError, match="cuda:0"):
            open_session(backend, file, SessionOptions(device="cuda:0"))


def test_onnxruntime_never_takes_the_cpu_in_silence(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])
    if onnxruntime.InferenceSession(str(net), providers=["CUDAExecutionProvider"]).get_providers()[0].startswith("CUDA"):
        pytest.skip("a CUDA provider runs here")
    with pytest.raises(DeviceError, match="CPUExecutionProvider"):
        open_session("onnxruntime", net, SessionOptions(device="cuda:0"))


def test_the_table_names_modules_that_say_whether_they_can_run() -> None:
    from importlib import import_module

    for name in CPU_BACKENDS:
        assert import_module(BACKENDS[name]).problem() is None
