"""Cut a pass into blocks of y and x, for the day when the logits of one patch height of the whole scan are too many.

A block runs every tile that touches it and keeps only its own voxels, so the labels are the same as without blocks; tiles that
touch several blocks run once for each. The ring of a block holds classes x patch height x block, however large the scan is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from flare_trt.engine.passes.pass_plan import PassPlan
from flare_trt.kernels.contract import Array, Taps, TapsZyx


@dataclass(frozen=True)
class Block:
    """`low_yx`..`high_yx` are voxels of the padded window; `taps_zyx` count from `low_yx`; `target_yx` indexes the labels."""

    low_yx: tuple[int, int]
    high_yx: tuple[int, int]
    taps_zyx: TapsZyx
    target_yx: tuple[slice, slice]

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Size in voxels of the padded window."""
        return self.high_yx[0] - self.low_yx[0], self.high_yx[1] - self.low_yx[1]

    def corners(self, plan: PassPlan) -> list[tuple[int, int]]:
        """(y, x) starts of the tiles that touch this block, in nnU-Net's order."""
        y, x = (
            [start for start in plan.starts_zyx[axis] if start < high and start + plan.patch_zyx[axis] > low]
            for axis, low, high in zip((1, 2), self.low_yx, self.high_yx, strict=True)
        )
        return list(product(y, x))

    def clip(self, tile: Array, corner_yx: tuple[int, int]) -> tuple[Array, tuple[int, int]]:
        """The part of a tile (..., y, x) that lies in this block, contiguous, and its corner in the block."""
        cut, place = [], []
        for low, high, corner, size in zip(self.low_yx, self.high_yx, corner_yx, tile.shape[-2:], strict=True):
            cut.append(slice(max(0, low - corner), min(size, high - corner)))
            place.append(max(0, corner - low))
        part = tile[..., cut[0], cut[1]]
        return (part if part.shape == tile.shape else part.copy()), (place[0], place[1])


def cut_blocks(plan: PassPlan, taps_zyx: TapsZyx, splits_yx: tuple[int, int]) -> Iterator[Block]:
    """Blocks of about equal size; a single one covers the whole padded window."""
    if splits_yx == (1, 1):
        height, width = plan.padded_shape[1:]
        yield Block((0, 0), (height, width), taps_zyx, (slice(None), slice(None)))
        return
    parts = [_cut_axis(taps, count) for taps, count in zip(taps_zyx[1:], splits_yx, strict=True)]
    for (target_y, taps_y, low_y, high_y), (target_x, taps_x, low_x, high_x) in product(*parts):
        yield Block((low_y, low_x), (high_y, high_x), (taps_zyx[0], taps_y, taps_x), (target_y, target_x))


def _cut_axis(taps: Taps, count: int) -> list[tuple[slice, Taps, int, int]]:
    """Ranges of targets with their taps, counted from the lowest voxel that they read, and the range of voxels read."""
    edges = [len(taps.lower) * i // count for i in range(count + 1)]
    parts = []
    for cut in (slice(first, last) for first, last in pairwise(edges) if first < last):
        part = taps[cut]
        low, high = int(part.lower[0]), int(part.upper[-1]) + 1
        parts.append((cut, Taps(part.lower - low, part.upper - low, part.weight), low, high))
    return parts
