"""Our own kernels for U-Nets of depthwise-separable convolutions, in fp32, or bf16 where the processor has AVX512_BF16, by AMX
where it has that too: what a convolution, a norm and an activation move through memory three times and more elsewhere, they move
once (kernels/native/separable.h)."""

from __future__ import annotations

import math
import mmap
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.native_.added import find_added
from flare_trt.engine.networks.native_.layouts import Layout, layout_of
from flare_trt.engine.networks.native_.onnx_graph import Floats, read_graph
from flare_trt.engine.networks.native_.separable import Kernel, Norm, NotSeparableError, SeparableNet, Source, Triple, recognise
from flare_trt.engine.networks.part import Part
from flare_trt.engine.networks.session import Session, SessionOptions, backend_problem, require_tile
from flare_trt.kernels import native_problem
from flare_trt.kernels.native import COMPILED

if TYPE_CHECKING:
    from flare_trt.engine.networks.openvino_.behind import AddedChannels

#: A line of the cache.
LINE_BYTES = 64
#: Such networks are small; a larger file is not read to learn that it is none.
LARGEST_BYTES = 32 * 2**20


def problem(device: str = "cpu") -> str | None:
    """Why this backend cannot be used on a device, or None."""
    if device != "cpu":
        return "it runs on the CPU only"
    missing = native_problem()
    if missing is None and not import_module(COMPILED).separable_register_bits():
        return "the processor has neither AVX-512 nor AVX2 with FMA"
    return missing


def has_bf16() -> bool:
    """Whether the processor has the arithmetic for precision bf16."""
    return problem() is None and bool(import_module(COMPILED).separable_bf16())


def fits(onnx: Path) -> bool:
    """Whether a file holds a network of this kind, and this can run here. What is no ONNX file the next backend names."""
    if problem() is not None or onnx.stat().st_size > LARGEST_BYTES:
        return False
    try:
        known = _known(onnx)
        _sizes(known.net)
    except (NotSeparableError, BundleError):
        return False
    return known.part is None or backend_problem("openvino", "cpu") is None


def open_session(onnx: Path, options: SessionOptions) -> Session:
    """Read an ONNX file. Raises BundleError for another kind of network, DeviceError for another device or precision."""
    missing = problem(options.device)
    if missing is None and options.precision == "bf16" and not has_bf16():
        missing = "this CPU has no bf16 arithmetic (AVX512_BF16); use precision fp32"
    if missing or options.precision not in ("fp32", "bf16"):
        raise DeviceError(f"backend native: {missing or f'got precision {options.precision}, expected fp32 or bf16'}")
    try:
        known = _known(onnx)
        added = None if known.part is None else _added(onnx, known.part, options)
        return NativeSession(known.net, options.precision, added)
    except NotSeparableError as error:
        raise BundleError(
            f"{onnx.name}: the backend native runs U-Nets of depthwise-separable convolutions alone, and {error}; "
            "use --backend openvino"
        ) from error


def _added(onnx: Path, part: Part, options: SessionOptions) -> AddedChannels:
    from flare_trt.engine.networks.openvino_.behind import AddedChannels  # most models need no OpenVINO

    return AddedChannels(onnx, part, options)


@dataclass(frozen=True)
class _Known:
    """A file's U-Net, and the part that adds channels to its logits, if any."""

    net: SeparableNet
    part: Part | None


def _known(onnx: Path) -> _Known:
    about = onnx.stat()
    return _read(onnx, (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns))


@lru_cache(maxsize=4)
def _read(onnx: Path, _identity: tuple[int, ...]) -> _Known:
    """A file is asked whether it fits, and opened right afterwards: it is read once."""
    graph = read_graph(onnx)
    added = find_added(graph)
    return _Known(recognise(graph if added is None else added.unet), None if added is None else added.part)


class NativeSession:
    """See session.Session. Maps are kept from run to run; the logits lie where those lay that are no longer read."""

    backend = "native"
    device = "cpu"

    def __init__(self, net: SeparableNet, precision: Precision, added: AddedChannels | None = None) -> None:
        self._first = import_module(COMPILED).first_convolution
        self.precision = precision
        self.input_shape = 1, 1, *net.shape_zyx
        self._added = added
        self.channels = net.logits + (0 if added is None else added.count)
        self._sizes = _sizes(net)
        layout = layout_of(precision)
        self._block, self._last = layout.function("separable_block"), layout.function("last_convolution")
        self._net: SeparableNet | None = layout.lay_out(net)
        self._maps, self._logits = _memory(net, self._sizes, layout, self.channels)

    def run(self, tile: Any) -> Any:
        if self._net is None:
            raise ValueError("this session is closed")
        require_tile(self, tile)
        net, norms = self._net, list[tuple[Floats, Floats]]()
        first = net.blocks[0]
        sums = self._first(tile[0, 0], first.depthwise, self._maps[0])
        norms.append(_norm_of_one(first.norm, first.pointwise, sums / self._maps[0].size))
        for block, result, size in zip(net.blocks[1:], self._maps[1:], self._sizes[1:], strict=True):
            sources = [(self._maps[s.index], self._sizes[s.index], norms[s.index], s.up) for s in block.sources]
            sums = self._block(sources, block.depthwise, block.pointwise, block.stride_zyx, result)
            norms.append(_norm(block.norm, sums / math.prod(size)))
        self._last(self._maps[net.last], norms[net.last], net.kernel, net.bias, self._logits[: net.logits])
        if self._added is not None:
            self._added.run(tile, self._logits)
        return self._logits

    def close(self) -> None:
        self._net, self._added, self._maps, self._logits = None, None, [], np.empty(0, np.float32)


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """Zeros that begin where a line of the cache does: vectors of 64 bytes that cross two lines take twice as long.

    Each page is written to, so that the first tile waits for no memory: a scan is read meanwhile.
    """
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size_bytes + LINE_BYTES, np.uint8)
    memory[:: mmap.PAGESIZE] = 0
    first = -memory.ctypes.data % LINE_BYTES
    return memory[first : first + size_bytes].view(dtype).reshape(shape)


def _memory(net: SeparableNet, sizes: list[Triple], layout: Layout, channels: int) -> tuple[list[Any], Floats]:
    """Each block's map, of rows as they are stored, and the logits, which lie over all maps but the last: nothing else is read by
    then. Raises NotSeparableError where there is not that much memory."""
    maps: list[tuple[tuple[int, ...], np.dtype[Any]]] = [(sizes[0], np.dtype(np.float32))]
    for (z, y, x), block in zip(sizes[1:], net.blocks[1:], strict=True):
        maps.append(((z, y, layout.width(x), block.channels), layout.dtype))
    lines = [-(-math.prod(shape) * kind.itemsize // LINE_BYTES) for shape, kind in maps]
    logits = (channels, *net.shape_zyx)
    before = max(sum(lines) - lines[net.last], -(-4 * math.prod(logits) // LINE_BYTES))
    _require_memory(LINE_BYTES * (before + lines[net.last]))
    shared, at, found = aligned((before * LINE_BYTES,), np.uint8), 0, list[Any]()
    for index, (shape, kind) in enumerate(maps):
        if index == net.last:
            found.append(aligned(shape, kind))
            continue
        found.append(_view(shared[at * LINE_BYTES :], shape, kind))
        at += lines[index]
    return found, _view(shared, logits, np.dtype(np.float32))


def _view(memory: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return memory[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


def _require_memory(size_bytes: int) -> None:
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size_bytes > there:
        raise NotSeparableError(f"its maps take {size_bytes / 1e9:.3g} GB where there are {there / 1e9:.3g}")


def _sizes(net: SeparableNet) -> list[Triple]:
    """Voxels of each block's result. Raises NotSeparableError where parts of one block differ, or the logits' voxels."""
    sizes = [net.shape_zyx]
    for block in net.blocks[1:]:
        read = {_source_size(source, sizes) for source in block.sources}
        if len(read) != 1:
            raise NotSeparableError(f"a join of maps of {' and '.join(map(str, sorted(read)))} voxels")
        z, y, x = (-(-size // step) for size, step in zip(read.pop(), block.stride_zyx, strict=True))
        sizes.append((z, y, x))
    if sizes[net.last] != net.shape_zyx:
        raise NotSeparableError(f"its logits have {sizes[net.last]} voxels, its input {net.shape_zyx}")
    return sizes


def _source_size(source: Source, sizes: list[Triple]) -> Triple:
    z, y, x = sizes[source.index]
    if source.up is None:
        return z, y, x
    by_z, by_y, by_x = source.up[0].shape[:3]
    return z * by_z, y * by_y, x * by_x


def _norm(norm: Norm, moments: Any) -> tuple[Floats, Floats]:
    """Scale and shift of an instance norm, of the means of values and of squares (2, channels)."""
    mean, square = moments
    scale = norm.gamma / np.sqrt(np.maximum(square - mean**2, 0) + norm.epsilon)
    return scale.astype(np.float32), (norm.beta - mean * scale).astype(np.float32)


def _norm_of_one(norm: Norm, weights: Kernel, moments: Any) -> tuple[Floats, Floats]:
    """The same of channels that are multiples (`weights`) of one, whose moments are given."""
    mean, square = moments
    factor = weights.astype(np.float64)
    scale = norm.gamma * factor / np.sqrt(factor**2 * max(square - mean**2, 0) + norm.epsilon)
    return scale.astype(np.float32), (norm.beta - mean * scale).astype(np.float32)
