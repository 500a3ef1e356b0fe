"""Examples of the training: patches as one of many scans shows them, drawn as they are needed; pool.py keeps some."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.patches import finished
from flare_trt.training.tumours.draw import NamedView
from flare_trt.training.tumours.patch import DrawnPatch, drawn_patch
from flare_trt.training.tumours.scene import FULL

#: Tiles of a step: one that shows two scans follows no single one.
TILES = 2
#: Examples that each process draws ahead.
AHEAD = 2


@dataclass(frozen=True)
class Example:
    """A normalised image (1, 1, z, y, x), and of each voxel (z, y, x) the share of tumour, whether that is known, the class and
    the lesion's number; the shares of the organs (organs, z / 2, y / 2, x / 2), where they were found already."""

    image: Tensor
    share: Tensor
    known: Tensor
    classes: Tensor
    lesions: Tensor
    organs: Tensor | None = None


#: What a step learns from, step after step, from the one on that it is asked for.
Steps = Iterator[list[Example]]


@dataclass(frozen=True)
class Drawn:
    """Patches that `workers` processes draw as they are needed, each one new; 0 draws them here."""

    config: DistilConfig
    views: Sequence[NamedView]
    workers: int

    def __call__(self, first: int) -> Steps:
        """The examples of step `first` and on."""
        numbers = itertools.count(first * TILES)
        if not self.workers:
            while True:
                yield [self.example(number) for number in itertools.islice(numbers, TILES)]
        # started anew: what a forked process has of a GPU, or of other threads' locks, is broken
        pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _draw_for, (self,))
        try:
            waiting = deque(pool.submit(_drawn, number) for number in itertools.islice(numbers, AHEAD * self.workers))
            while True:
                waiting.extend(pool.submit(_drawn, number) for number in itertools.islice(numbers, TILES))
                yield [Example(*map(torch.from_numpy, waiting.popleft().result())) for _ in range(TILES)]
        finally:
            pool.shutdown(cancel_futures=True)

    def example(self, number: int) -> Example:
        """Example `number`, which hangs on its number alone."""
        rng = np.random.default_rng([self.config.seed, number])
        return example_of(drawn_patch(self.views, self.config, number), self.config, rng)


#: What this process draws, where it is a worker.
_worker: list[Drawn] = []


def _draw_for(drawn: Drawn) -> None:
    torch.set_num_threads(1)
    _worker[:] = [drawn]


def _drawn(number: int) -> list[NDArray[np.generic]]:
    """An example's arrays: tensors would go through shared memory, of which a container has little."""
    example = _worker[0].example(number)
    return [value.numpy() for value in (example.image, example.share, example.known, example.classes, example.lesions)]


def example_of(patch: DrawnPatch, config: DistilConfig, rng: np.random.Generator) -> Example:
    """A patch with random intensity, circle of view and ends of the scan."""
    # doubt, not trust, travels through what is cut and blanked: beyond the scan all is surely no tumour
    shown = [np.zeros_like(patch.tumour), patch.tumour, FULL - patch.trust, patch.labels, patch.lesions]
    packed = np.stack(shown).astype(np.float32)
    whole = finished(torch.from_numpy(patch.hu.astype(np.float32)), torch.from_numpy(packed), config, rng)
    _, share, unsure, classes, lesions = whole.target
    return Example(whole.image[None, None], share / 255, unsure < 0.5, classes.byte(), lesions.byte())
