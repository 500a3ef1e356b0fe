"""Our own kernels in bf16, by AVX512_BF16 and by AMX: exact where all values are integers, near an emulation of their rounding
elsewhere."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.networks.native_ import backend
from flare_trt.engine.networks.native_.backend import aligned, has_bf16
from flare_trt.engine.networks.native_.layouts import FLOATS, PAIRS, TILES, Layout
from flare_trt.engine.networks.native_.onnx_graph import read_graph
from flare_trt.engine.networks.native_.separable import Block, Norm, SeparableNet, Source, recognise
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.kernels.native import COMPILED, set_threads
from tests.engine.networks.native_ import bf16_emulation as emulation
from tests.engine.networks.separable_net import separable_net

pytestmark = pytest.mark.skipif(not has_bf16(), reason="this processor has no AVX512_BF16, or the native kernels are not built")
BF16 = SessionOptions(precision="bf16")
ALL, FLAT, DOWN, LONG = (1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 1)
#: (patch, strides): odd and even widths at each resolution, one voxel, tails behind vectors of 8 voxels and logits of 16.
NETS = [
    ((6, 10, 14), (ALL, DOWN)),
    ((4, 6, 38), (ALL, FLAT)),
    ((3, 5, 9), (ALL, ALL)),
    ((4, 6, 13), (ALL, LONG)),
    ((4, 6, 1), (ALL, LONG)),
    ((12, 20, 44), (ALL, DOWN, DOWN)),
    ((8, 16, 72), (ALL, DOWN, DOWN, FLAT)),
]
#: Tails behind 8 voxels, 32 voxels and six rows; one voxel along an axis or two.
SIZES = [(5, 3, 1), (5, 3, 2), (5, 3, 7), (5, 3, 8), (5, 3, 9), (4, 13, 17), (3, 6, 33), (2, 25, 65), (1, 1, 31)]


def integers(*shape: int, low: int = -1, high: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).integers(low, high, shape).astype(np.float32)


@pytest.fixture(params=[PAIRS, TILES], ids=["pairs", "tiles"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Sessions take this one in bf16."""
    if request.param is TILES and not import_module(COMPILED).separable_tiles():
        pytest.skip("this processor has no AMX")
    monkeypatch.setattr(backend, "layout_of", lambda precision: FLOATS if precision == "fp32" else request.param)
    return request.param


def laid_out(layout: Layout, block: Block, kernel: np.ndarray | None = None) -> SeparableNet:
    """A network of one block and a last kernel (logits, channels) as the compiled code takes it."""
    kernel = np.zeros((1, 16), np.float32) if kernel is None else kernel
    padded = np.pad(kernel, ((0, -len(kernel) % 16), (0, 0)))
    by_lanes = padded.reshape(-1, 16, kernel.shape[1]).transpose(0, 2, 1)
    return layout.lay_out(SeparableNet(ALL, (block, block), 0, by_lanes, np.zeros(16, np.float32), len(kernel)))


def block_of(
    taps: np.ndarray, mixing: np.ndarray, stride: tuple[int, int, int] = ALL, up: tuple[np.ndarray, np.ndarray] | None = None
) -> Block:
    norm = Norm(np.ones(mixing.shape[0] * 16), np.zeros(mixing.shape[0] * 16), 1e-5)
    return Block((Source(0, up),), taps, mixing, stride, norm)


def run_block(layout: Layout, sources: list, block: Block, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The result (z, y, x, channels) and its sums; what is stored of a block is laid out."""
    z, y, x, channels = size
    result = aligned((z, y, layout.width(x), channels), np.uint16)
    sums = layout.function("separable_block")(sources, block.depthwise, block.pointwise, block.stride_zyx, result)
    return emulation.as_read(result, x, layout.together), sums


def same(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """A norm that changes nothing."""
    return np.ones(channels, np.float32), np.zeros(channels, np.float32)


@pytest.mark.parametrize("stride", [ALL, FLAT, DOWN, LONG, (1, 1, 2)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [16, 48, 192])
def test_a_block_of_integers_is_exact(channels: int, size: tuple[int, ...], stride: tuple[int, int, int], layout: Layout) -> None:
    """Sums of integers below 256 are values of bfloat16, so nothing rounds before the result is stored."""
    values = integers(*size, channels, low=0, high=4)
    taps, mixing = integers(27, channels), integers(2, channels, 16)
    expected = emulation.mixed(emulation.depthwise(values, taps, stride), mixing)
    block = laid_out(layout, block_of(taps, mixing, stride)).blocks[1]
    source = (emulation.as_stored(values, layout.together), values.shape[:3], same(channels), None)
    found, sums = run_block(layout, [source], block, expected.shape)
    np.testing.assert_array_equal(found, emulation.to_bf16(expected))
    np.testing.assert_array_equal(sums, [expected.sum((0, 1, 2)), (expected**2).sum((0, 1, 2))])


@pytest.mark.parametrize("by", [ALL, FLAT, DOWN, LONG], ids=str)
@pytest.mark.parametrize("width", [1, 3, 8, 11, 17, 40])
def test_an_upsampled_map_joined_to_one_of_one_channel_is_exact(width: int, by: tuple[int, int, int], layout: Layout) -> None:
    below, kernel, bias = integers(2, 3, width, 32, low=0, high=3), integers(*by, 3, 32, 16), integers(48, low=60, high=70)
    image = integers(2 * by[0], 3 * by[1], width * by[2], low=0, high=4)
    upper = emulation.upsampled(below, kernel, bias)
    joined = np.concatenate([upper, np.repeat(image[..., None], 16, axis=3)], axis=3)
    taps, mixing = integers(27, 64, low=0) * integers(27, 64, low=0), integers(1, 64, 16)
    taps[2::3] = 0  # few enough taps that sums stay below 256
    taps[9:] = 0
    convolved = emulation.depthwise(joined, taps, ALL)
    assert 0 < upper.min() < upper.max() < 256
    expected = emulation.mixed(emulation.to_bf16(convolved), mixing)
    block = laid_out(layout, block_of(taps, mixing, up=(kernel, bias))).blocks[1]
    sources = [
        (emulation.as_stored(below, layout.together), below.shape[:3], same(32), block.sources[0].up),
        (image, image.shape, same(16), None),
    ]
    found, _ = run_block(layout, sources, block, (*joined.shape[:3], 16))
    np.testing.assert_array_equal(found, emulation.to_bf16(expected))


@pytest.mark.parametrize("count", [1, 7, 8, 14, 16, 19])
@pytest.mark.parametrize("width", [1, 15, 16, 33])
def test_logits_of_integers_are_exact(width: int, count: int, layout: Layout) -> None:
    values, kernel, bias = integers(2, 3, width, 48, low=0, high=4), integers(count, 48), integers(count)
    logits = aligned((count, 2, 3, width))
    laid = laid_out(layout, block_of(integers(27, 48), integers(1, 48, 16)), kernel).kernel
    layout.function("last_convolution")(emulation.as_stored(values, layout.together), same(48), laid, bias, logits)
    np.testing.assert_array_equal(logits, np.moveaxis(values @ kernel.T + bias, 3, 0))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


@pytest.mark.parametrize(("patch", "strides"), NETS, ids=[f"{patch} {strides[-1]}" for patch, strides in NETS])
def test_logits_are_the_emulation_s(patch, strides, tmp_path: Path, layout: Layout) -> None:
    """The two round alike, except where a sum lies at a tie or a hair beside it. One such value moves all later ones through the
    norms, so that deep networks only stay nearer to the emulation than that is to fp32."""
    file = separable_net(tmp_path / "net.onnx", patch, strides, 19, seed=2)
    net, image = recognise(read_graph(file)), np.random.default_rng(5).normal(0.3, 1.2, (1, 1, *patch)).astype(np.float32)
    session, plain = open_session("native", file, BF16), open_session("native", file, SessionOptions())
    assert (session.precision, session.channels, session.input_shape) == ("bf16", 19, (1, 1, *patch))
    full, half = (emulation.logits(net, image[0, 0], rounding) for rounding in (emulation.exact, emulation.to_bf16))
    np.testing.assert_allclose(plain.run(image), full, atol=2e-4 * full.std())
    error = rms(half - full)
    assert 1e-3 * full.std() < error < 0.1 * full.std()
    for _ in range(2):  # the second finds what the first left in the maps
        assert rms(session.run(image) - half) < (0.1 if len(strides) == 2 else 1) * error


def test_threads_change_no_bit(tmp_path: Path, layout: Layout) -> None:
    patch = (12, 52, 44)
    session = open_session("native", separable_net(tmp_path / "net.onnx", patch, (ALL, DOWN, DOWN)), BF16)
    image, found = np.random.default_rng(0).normal(size=(1, 1, *patch)).astype(np.float32), []
    for threads in (1, 2, 3, 7):
        set_threads(threads)
        found.append(session.run(image).copy())
    set_threads(0)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_the_default_model_s_logits_are_near_those_in_fp32(layout: Layout) -> None:
    with open_bundle(default_model()) as bundle:
        for stage in bundle.spec.stages.values():
            file = bundle.network_files(stage)[0]
            image = np.random.default_rng(0).normal(0.3, 1.2, (1, 1, *stage.patch_zyx)).astype(np.float32)
            expected = open_session("native", file, SessionOptions()).run(image)
            assert rms(open_session("native", file, BF16).run(image) - expected) < 0.03 * expected.std()


def test_maps_of_another_type_are_refused(layout: Layout) -> None:
    block = laid_out(layout, block_of(integers(27, 16), integers(1, 16, 16))).blocks[1]
    source = (integers(2, 2, 2, 16), (2, 2, 2), same(16), None)
    with pytest.raises(TypeError, match="a map of another type"):
        run_block(layout, [source], block, (2, 2, 2, 16))
