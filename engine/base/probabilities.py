"""Class probabilities of one scan on disk: a full set of them never lies in memory, only the planes that are written or read."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.positioned_read import read_into
from flare_trt.kernels import Box

#: What one part that is read or written takes in memory, about.
PART_BYTES = 16 << 20
STRAIGHT = Reorientation((0, 1, 2), (False, False, False))


@dataclass(frozen=True)
class StoredAxes:
    """How the file's axes lie in the scan: turned, and cut to `crop`, a box of the turned scan. `reader` turns a scan as the
    model's image reader hands it out, which is how nnU-Net saves probabilities."""

    grid: Grid
    turn: Reorientation
    crop: Box
    reader: Reorientation = STRAIGHT

    @staticmethod
    def plain(grid: Grid) -> StoredAxes:
        """The scan's own axes, all of it."""
        return StoredAxes(grid, STRAIGHT, grid.whole)


class Probabilities:
    """float32 in an unnamed temporary file, (z, channel, y, x) in these axes; the file goes with the object.

    Outside of what `keep` names all is background: 1 in channel 0 where `has_background`, 0 in every other channel.
    Raises OutputError where the disk has no room for all.
    """

    def __init__(self, axes: StoredAxes, channels: int, has_background: bool) -> None:
        self.axes, self.channels, self.has_background = axes, channels, has_background
        self._kept = axes.grid.whole
        needed, place = 4 * channels * math.prod(axes.crop.shape_zyx), tempfile.gettempdir()
        if needed > (free := shutil.disk_usage(place).free):
            raise OutputError(
                f"probabilities: take {needed} bytes in {place}, {free} are free; free some, or set TMPDIR to another disk"
            )
        self._file = tempfile.TemporaryFile(prefix="flare-trt-")  # noqa: SIM115  # lives as long as the object
        os.ftruncate(self._file.fileno(), needed)

    def write(self, start_zyx: tuple[int, int, int], values: NDArray[np.float32], channel: int = 0) -> None:
        """One plane's rows (channel, y, x), from this channel and this corner of the crop on."""
        z, y, x = start_zyx
        _, height, width = self.axes.crop.shape_zyx
        columns = values.shape[2]
        for number, part in enumerate(np.ascontiguousarray(values, np.float32), start=channel):
            at = ((z * self.channels + number) * height + y) * width + x
            runs = [part] if columns == width else list(part)  # whole rows follow each other in the file
            for row, run in enumerate(runs):
                _write(self._file.fileno(), run, 4 * (at + row * width))

    def keep(self, box: Box) -> None:
        """Only a box of the scan counts; all of it was written, as far as it lies in the crop."""
        self._kept = box

    def read(self, channel: int, box: Box) -> NDArray[np.float32]:
        """A box of the scan, in the scan's axes."""
        axes, grid = self.axes, self.axes.grid
        found = np.full(box.shape_zyx, 1 if self.has_background and channel == 0 else 0, np.float32)
        crop = axes.turn.undo_box(axes.crop, grid.shape_zyx)
        inside = box.common(crop).common(self._kept)
        if min(inside.shape_zyx) > 0:
            part = axes.turn.apply_box(inside, grid.shape_zyx).shifted(axes.crop.start_zyx, -1)
            found[inside.shifted(box.start_zyx, -1).slices] = axes.turn.undo(self._stored(channel, part))
        return found

    def parts(self) -> Iterator[Box]:
        """Boxes of whole planes that make up the scan, each of about PART_BYTES a channel."""
        _, height, width = self.axes.grid.shape_zyx
        return self.axes.grid.whole.slabs(max(1, PART_BYTES // (4 * height * width)))

    def _stored(self, channel: int, part: Box) -> NDArray[np.float32]:
        """A box of the crop as it lies in the file."""
        _, height, width = self.axes.crop.shape_zyx
        block = np.empty(part.shape_zyx, np.float32)
        (z0, z1), (y0, y1), (x0, x1) = part.ranges
        rows = np.empty((y1 - y0, width), np.float32)
        for z in range(z0, z1):
            if not read_into(self._file.fileno(), rows, 4 * ((z * self.channels + channel) * height + y0) * width):
                raise OutputError("probabilities: their temporary file ended early; is the disk full?")
            block[z - z0] = rows[:, x0:x1]
        return block


def _write(file: int, run: NDArray[np.float32], offset: int) -> None:
    view = run.data.cast("B")
    try:
        while view:
            count = os.pwrite(file, view, offset)
            view, offset = view[count:], offset + count
    except OSError as error:
        raise OutputError(
            f"probabilities: cannot be kept on disk: {error.strerror}; free some, or set TMPDIR to another"
        ) from error
