"""The memory of one pass, counted before anything is allocated, and the layout that keeps it within a budget."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.units import MB
from flare_trt.engine.passes.blocks import cut_blocks
from flare_trt.engine.passes.class_rows import rows_bytes
from flare_trt.engine.passes.pass_plan import PassPlan, ring_planes

#: Source voxels that one resampling call should not exceed where memory is not short: 128 MB as float32.
_CHUNK_VOXELS = 32_000_000
_LEAST_CHUNK = 8
#: Parts of a pass that take turns.
TURNS = ("resample", "labels", "tile", "rim")


@dataclass(frozen=True)
class Layout:
    """`planes` of the network's input are held at once; `chunk` of them are resampled in one call; see blocks.py for splits."""

    planes: int
    chunk: int
    splits_yx: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Buffer:
    """One array of a pass. `lives` is "pass" (all the time) or one of TURNS (only then; never two of them)."""

    name: str
    bytes: int
    lives: str


@dataclass(frozen=True)
class PassMemory:
    """Every buffer of one pass under one layout."""

    layout: Layout
    buffers: tuple[Buffer, ...]

    @property
    def peak_bytes(self) -> int:
        """What lives all the time, and the largest of the kinds that take turns."""
        pass_, *others = (sum(b.bytes for b in self.buffers if b.lives == life) for life in ("pass", *TURNS))
        return pass_ + max(others)


@dataclass(frozen=True)
class Footprint:
    """What a stage brings to its pass: networks (folds), input and output channels, the scan's voxels and the bytes of each, flips.

    `masked`: the scan's nonzero mask is needed. `label_bytes`: of one label. `label_inputs`: channels made of
    the labels of the stage before.
    `keeps_probabilities`: those of the labels' voxels go to disk.
    """

    folds: int
    inputs: int
    channels: int
    scan_voxels: int
    source_itemsize: int
    mirrored: bool
    masked: bool = False
    label_bytes: int = 1
    label_inputs: int = 0
    keeps_probabilities: bool = False


def pass_memory(plan: PassPlan, footprint: Footprint, layout: Layout, keep_from: int | None = None) -> PassMemory:
    """Count the buffers that `predict` allocates; `keep_from` is the Pass'."""
    _, height, width = plan.padded_shape
    blocks = list(cut_blocks(plan, (plan.taps(0), plan.taps(1), plan.taps(2)), layout.splits_yx))
    ring = ring_planes(plan, plan.taps(0), keep_from is not None) * max(math.prod(block.shape_yx) for block in blocks)
    target, patch = math.prod(plan.target.shape_zyx), math.prod(plan.patch_zyx)
    chunk_source = _slab_voxels(plan, layout.chunk)
    window_z, window_y, window_x = plan.window.shape_zyx
    source_z = chunk_source // max(1, _slab_plane_voxels(plan))
    buffers: tuple[Buffer, ...] = (
        Buffer("input planes", footprint.inputs * layout.planes * height * width * 4, "pass"),
        Buffer("logits ring", footprint.folds * footprint.channels * ring * 2, "pass"),
        Buffer("weights ring", footprint.folds * ring * 2, "pass"),
        Buffer("Gaussian", patch * 2, "pass"),
        Buffer("labels of the pass", target * footprint.label_bytes, "pass"),
        Buffer("labels on the scan", footprint.scan_voxels * footprint.label_bytes, "pass"),
        # our own kernels for the CPU read and normalise the scan where it lies, and take neither of the next two
        Buffer("source slab", chunk_source * footprint.source_itemsize, "resample"),
        Buffer("normalised slab", chunk_source * 4, "resample"),
        Buffer("slab resampled in plane", source_z * window_y * window_x * 4, "resample"),
        Buffer("resampled planes", min(layout.chunk, window_z) * window_y * window_x * 4, "resample"),
    )
    if footprint.label_inputs:
        buffers += _labels_before(plan, footprint, layout)
    if footprint.masked:  # nonzero_mask.py
        buffers += (Buffer("mask of the scan", math.prod(plan.source_shape) // 8, "pass"),)
        buffers += (Buffer("mask of the slab", chunk_source, "resample"),)
    if keep_from is not None:  # predict.py, release_keeping
        rim = max(0, int(plan.taps(0).upper[-1]) + 1 - keep_from)
        buffers += (Buffer("sums of the rim", footprint.folds * (footprint.channels + 1) * rim * height * width * 2, "rim"),)
    buffers += (Buffer("tile", (footprint.inputs + footprint.label_inputs) * patch * 4, "tile"),)
    if footprint.mirrored:  # the sum over the flips, and a flipped tile
        buffers += (Buffer("mirrored logits", footprint.channels * patch * 4, "tile"), replace(buffers[-1], name="flipped tile"))
    if footprint.keeps_probabilities:  # class_rows.py
        widest = max((block.shape_yx for block in blocks), key=math.prod)
        rows = rows_bytes(footprint.channels, widest, plan.target.shape_zyx[2])
        buffers += (Buffer("class rows", rows, "rim"),)
    if len(blocks) > 1:  # what of a tile lies in a block is copied
        buffers += (Buffer("clipped logits", footprint.channels * patch * 4, "tile"), Buffer("clipped Gaussian", patch * 2, "tile"))
    return PassMemory(layout, buffers)


def _labels_before(plan: PassPlan, footprint: Footprint, layout: Layout) -> tuple[Buffer, ...]:
    """What the labels of the stage before take (label_source.py); the mask that they are joined to is a second one."""
    (_, height, width), (depth, rows, columns) = plan.padded_shape, plan.window.shape_zyx
    return (
        Buffer("labels of the stage before", footprint.scan_voxels, "pass"),
        Buffer("mask with these labels", math.prod(plan.source_shape) // 8, "pass"),
        Buffer("label planes", layout.planes * height * width, "pass"),
        Buffer("slab of labels", _slab_voxels(plan, layout.chunk) * 6, "labels"),
        Buffer("resampled labels", min(layout.chunk, depth) * rows * columns, "labels"),
        Buffer("corners of a plane and their shares", rows * columns * 240, "labels"),
        Buffer("one label's mask in a tile", math.prod(plan.patch_zyx), "tile"),
    )


def choose_layout(plan: PassPlan, footprint: Footprint, budget_bytes: int | None) -> PassMemory:
    """The quickest layout that fits. Raises BudgetError with the least that would do."""
    least = math.inf
    for layout in _layouts(plan):
        memory = pass_memory(plan, footprint, layout)
        if budget_bytes is None or memory.peak_bytes <= budget_bytes:
            return memory
        least = min(least, memory.peak_bytes)
    left = budget_bytes or 0
    raise BudgetError(
        f"memory: a pass needs at least {least / MB:.0f} MB beside the network and the scan, {max(0, left) / MB:.0f} MB are left "
        f"to it; free {math.ceil((least - left) / MB)} MB, or raise --max-memory by as much"
    )


def _layouts(plan: PassPlan) -> Iterator[Layout]:
    """Layouts from the quickest to the one that needs least. More splits run more tiles twice."""
    depth, patch = plan.padded_shape[0], plan.patch_zyx[0]
    chunk = max(_LEAST_CHUNK, min(depth, _CHUNK_VOXELS // max(1, _slab_plane_voxels(plan)) or 1))
    sizes = [(depth, chunk), (patch, min(chunk, patch)), (patch, min(_LEAST_CHUNK, patch))]
    if plan.image_axis:  # a separate axis that is not z mixes all planes, so they are made in one call
        sizes = [(depth, depth)]
    yield from (Layout(planes, size) for planes, size in sizes)
    planes, size = sizes[-1]
    most_y, most_x = (len(plan.starts_zyx[axis]) for axis in (1, 2))
    yield from (Layout(planes, size, (y, 1)) for y in range(2, most_y + 1))
    yield from (Layout(planes, size, (most_y, x)) for x in range(2, most_x + 1))


def _slab_plane_voxels(plan: PassPlan) -> int:
    """Source voxels of one slice of the slab that the window needs."""
    height, width = (
        plan.source_stop(axis, plan.window.stop_zyx[axis])
        - plan.span(axis, plan.window.start_zyx[axis], plan.window.stop_zyx[axis]).source_start
        for axis in (1, 2)
    )
    return height * width


def _slab_voxels(plan: PassPlan, chunk: int) -> int:
    """Source voxels that a chunk in the middle of the window needs, the largest that any chunk does."""
    low, high = plan.window.start_zyx[0], plan.window.stop_zyx[0]
    first = low + max(0, (high - low - chunk) // 2)
    last = min(high, first + chunk)
    depth = plan.source_stop(0, last) - plan.span(0, first, last).source_start
    return (depth + 1) * _slab_plane_voxels(plan)
