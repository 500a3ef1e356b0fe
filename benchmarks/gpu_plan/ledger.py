"""What a run allocates, computes and moves on a GPU, step by step: which buffer lives from which step to which, and the peak."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from flare_trt.benchmarks.gpu_plan.cost import Cost

#: What bounds a step: the card's memory and float32 arithmetic, its link to the host, or its arithmetic for networks.
Bound = Literal["kernel", "copy", "network"]


@dataclass
class Allocation:
    """One array. It lives from step `first` to step `last`, both inclusive; `last` is None while it is there."""

    operation: str  # what allocated it
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    stage: str
    first: int
    last: int | None = None


@dataclass(frozen=True)
class Step:
    """One operation, what its parts cost one after the other, and the most bytes that lived while it ran."""

    stage: str
    operation: str
    costs: tuple[Cost, ...]
    bound: Bound
    peak_bytes: int


class Block:
    """The life of one allocation: it ends with the last array that refers to it."""


class Ledger:
    """Grows while a pipeline runs. `events` are allocations (+bytes) and releases (-bytes) in their order."""

    def __init__(self) -> None:
        self.allocations: list[Allocation] = []
        self.steps: list[Step] = []
        self.events: list[int] = []
        self.stage = ""
        self.live_bytes = 0
        self._highest = 0  # since the last step
        self._operation = ""

    @property
    def peak_bytes(self) -> int:
        """The most bytes that lived at once."""
        return max([self._highest, *(step.peak_bytes for step in self.steps)])

    @contextmanager
    def step(self, operation: str, *costs: Cost, bound: Bound = "kernel") -> Iterator[None]:
        """Do one operation. What one within another allocates, such as the upload of a table, goes by the outer one's name."""
        outer = self._operation
        self._operation = outer or operation
        yield
        self._operation = outer
        self.steps.append(Step(self.stage, operation, costs, bound, self._highest))
        self._highest = self.live_bytes

    def allocate(self, shape: tuple[int, ...], dtype: str, nbytes: int) -> Block:
        """Note an allocation; it is released with the block that is returned."""
        entry = Allocation(self._operation or "empty", dtype, shape, nbytes, self.stage, len(self.steps))
        self.allocations.append(entry)
        self.events.append(nbytes)
        self.live_bytes += nbytes
        self._highest = max(self._highest, self.live_bytes)
        block = Block()
        weakref.finalize(block, self._release, entry).atexit = False
        return block

    def _release(self, entry: Allocation) -> None:
        entry.last = max(entry.first, len(self.steps) - 1)
        self.events.append(-entry.nbytes)
        self.live_bytes -= entry.nbytes
