"""Boxes of voxels, and all that is reckoned with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Box:
    """A half-open box of voxels: `start_zyx` is inside, `stop_zyx` is not.

    >>> first, second = Box((0, 0, 0), (4, 5, 6)), Box((2, 2, 2), (3, 9, 9))
    >>> first.hull(second), first.common(second)
    (Box(start_zyx=(0, 0, 0), stop_zyx=(4, 9, 9)), Box(start_zyx=(2, 2, 2), stop_zyx=(3, 5, 6)))
    """

    start_zyx: Triple
    stop_zyx: Triple

    @staticmethod
    def whole(shape_zyx: Triple) -> Box:
        """All voxels of an array."""
        return Box((0, 0, 0), shape_zyx)

    @staticmethod
    def spanning(ranges: Iterable[tuple[int, int]]) -> Box:
        """The box of one (start, stop) for each of z, y and x."""
        (z0, z1), (y0, y1), (x0, x1) = ranges
        return Box((z0, y0, x0), (z1, y1, x1))

    @staticmethod
    def cut_by(slices: Iterable[slice]) -> Box:
        """The box that three slices (start, stop) cut out."""
        return Box.spanning((cut.start, cut.stop) for cut in slices)

    @property
    def shape_zyx(self) -> Triple:
        """Extent in voxels on each axis."""
        z, y, x = (stop - start for start, stop in self.ranges)
        return z, y, x

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each axis."""
        return tuple(zip(self.start_zyx, self.stop_zyx, strict=True))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index expression that cuts this box out of a (z, y, x) array."""
        z, y, x = (slice(start, stop) for start, stop in self.ranges)
        return z, y, x

    def along(self, axis: int, low: int, high: int) -> Box:
        """The box with another range on one axis."""
        return Box.spanning((low, high) if a == axis else span for a, span in enumerate(self.ranges))

    def slabs(self, depth: int) -> Iterator[Box]:
        """The box cut along z into boxes of this many planes; the last may have fewer."""
        start, stop = self.ranges[0]
        return (self.along(0, z, min(stop, z + depth)) for z in range(start, stop, depth))

    def shifted(self, by_zyx: Sequence[int], sign: int = 1) -> Box:
        """The box, moved by `sign * by_zyx` voxels."""
        return Box.spanning((low + sign * by, high + sign * by) for (low, high), by in zip(self.ranges, by_zyx, strict=True))

    def hull(self, *others: Box) -> Box:
        """The least box that holds this one and all others."""
        spans = zip(self.ranges, *(box.ranges for box in others), strict=True)
        return Box.spanning((min(low for low, _ in span), max(high for _, high in span)) for span in spans)

    def common(self, other: Box) -> Box:
        """What both hold."""
        spans = zip(self.ranges, other.ranges, strict=True)
        return Box.spanning((max(a, c), min(b, d)) for (a, b), (c, d) in spans)

    def clipped(self, shape_zyx: Triple) -> Box:
        """What of the box lies in an array of this shape; may come out empty."""
        low = (min(max(0, start), size) for start, size in zip(self.start_zyx, shape_zyx, strict=True))
        cut = [(first, max(first, min(stop, size))) for first, stop, size in zip(low, self.stop_zyx, shape_zyx, strict=True)]
        return Box.spanning(cut)
