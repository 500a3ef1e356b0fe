"""A device array that has a shape, a type and a life, and no memory: what a rehearsal computes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.benchmarks.gpu_plan.ledger import Block, Ledger


class ShapeArray:
    """As much of CuPy's ndarray as the pipeline uses. NumPy works out the shapes and strides of views; nothing is ever read."""

    def __init__(self, view: NDArray[Any], block: Block, ledger: Ledger) -> None:
        self._view, self._block, self._ledger = view, block, ledger
        self.shape, self.dtype, self.ndim, self.size = view.shape, view.dtype, view.ndim, view.size
        self.nbytes, self.flags = view.nbytes, view.flags

    @staticmethod
    def empty(shape: Sequence[int], dtype: DTypeLike, ledger: Ledger) -> ShapeArray:
        """A new array, noted in the ledger."""
        kind, sizes = np.dtype(dtype), tuple(int(size) for size in shape)
        strides = [kind.itemsize]
        for size in reversed(sizes[1:]):
            strides.insert(0, strides[0] * size)
        view = np.lib.stride_tricks.as_strided(np.zeros(1, kind), sizes, strides[: len(sizes)])
        return ShapeArray(view, ledger.allocate(sizes, str(kind), view.nbytes), ledger)

    def __getitem__(self, key: Any) -> ShapeArray:
        keys = key if isinstance(key, tuple) else (key,)
        # an ellipsis keeps NumPy from reading a single element
        keys = keys if any(k is Ellipsis for k in keys) else (*keys, Ellipsis)
        return ShapeArray(self._view[keys], self._block, self._ledger)

    def __setitem__(self, key: Any, value: ShapeArray | float) -> None:
        target = self[key]
        if isinstance(value, ShapeArray) and value.shape != target.shape:
            raise ValueError(f"assignment: got shape {value.shape}, expected {target.shape}")
        self._note("copy", target.nbytes + (value.nbytes if isinstance(value, ShapeArray) else 0))

    def __iadd__(self, other: ShapeArray) -> ShapeArray:
        self._note("add", 2 * self.nbytes + other.nbytes, self.size)
        return self

    def __itruediv__(self, other: float) -> ShapeArray:
        self._note("divide", 2 * self.nbytes, self.size)
        return self

    def transpose(self, axes: Sequence[int]) -> ShapeArray:
        """A view."""
        return ShapeArray(self._view.transpose(axes), self._block, self._ledger)

    def copy(self) -> ShapeArray:
        """A new contiguous array."""
        with self._ledger.step("copy", Cost(2 * self.nbytes, 0)):
            return ShapeArray.empty(self.shape, self.dtype, self._ledger)

    def fill(self, value: float) -> None:
        """Write every element."""
        self._note("fill", self.nbytes)

    def _note(self, operation: str, nbytes: int, flops: int = 0) -> None:
        with self._ledger.step(operation, Cost(nbytes, flops)):
            pass
