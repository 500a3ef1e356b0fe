"""The ring of logits of one block of a pass: plane z of the padded window lies at z % capacity, one ring a fold.

A ring may outlive its pass: planes that a further row of tiles would touch keep their sums, and a pass that goes on upwards with
that row adds to them as if there had been no break (growing_box.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from flare_trt.engine.networks.session import Session
from flare_trt.engine.passes.input_planes import runs
from flare_trt.kernels import Kernels
from flare_trt.kernels.contract import Array


class Ring:
    """Sums of weighted logits (channel, plane, y, x) and of weights, float16, for each fold.

    Planes before `finished` are divided, those before `cleared` are free for planes further up.
    """

    def __init__(self, kernels: Kernels, sessions: Sequence[Session], shape_zyx: tuple[int, int, int]) -> None:
        self._kernels, self.capacity = kernels, shape_zyx[0]
        self._logits = [kernels.zeros((session.channels, *shape_zyx), np.float16) for session in sessions]
        self._weights = [kernels.zeros(shape_zyx, np.float16) for _ in sessions]
        self.finished = self.cleared = 0

    @property
    def logits(self) -> Array:
        """Mean logits over the folds in the finished planes."""
        return self._logits[0]

    def add(self, fold: int, logits: Array, weights: Array, corner_zyx: tuple[int, int, int]) -> None:
        """Blend a tile."""
        self._kernels.blend(self._logits[fold], self._weights[fold], logits, weights, corner_zyx)

    def finish(self, final: int) -> None:
        """No tile to come touches planes before `final`: divide them, and average them over the folds."""
        if final <= self.finished:
            return
        planes = (self.finished, final)
        for logits, weights in zip(self._logits, self._weights, strict=True):
            self._kernels.finish(logits, weights, planes)
        if len(self._logits) > 1:
            self._kernels.average(self._logits, planes)
        self.finished = final

    def clear(self, keep: int) -> None:
        """No label to come reads planes before `keep`."""
        if keep > self.cleared:
            for logits, weights in zip(self._logits, self._weights, strict=True):
                self._kernels.clear(logits, weights, (self.cleared, keep))
            self.cleared = keep

    @contextmanager
    def lent(self, start: int, stop: int) -> Iterator[None]:
        """For the while of a with statement planes [start, stop) may be finished; afterwards they have their sums again."""
        parts = [
            slice(first % self.capacity, first % self.capacity + count) for first, count in runs(start, stop - start, self.capacity)
        ]
        arrays = [array[..., part, :, :] for array in (*self._logits, *self._weights) for part in parts]
        sums = [array.copy() for array in arrays]
        yield
        for array, before in zip(arrays, sums, strict=True):
            array[...] = before
        self.finished = start

    def free(self) -> None:
        """Let the arrays go, whoever still holds the ring."""
        self._logits, self._weights = [], []

    @property
    def is_free(self) -> bool:
        """Whether `free` was called."""
        return not self._logits
