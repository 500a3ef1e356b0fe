"""One scan's run on a GPU, planned before the first allocation: the pipeline itself, rehearsed on arrays without memory.

`plan_scan` calls the functions that segment a scan (cascade.py, predict.py, the CUDA device's host code) with a kernel device
that notes each allocation and each step and computes nothing. So the plan is what is run, not a copy of it. What it assumes:
the box in which the fine stage looks, and the networks' memory (network_facts.py). CUDA's own context is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.benchmarks.gpu_plan.ledger import Ledger
from flare_trt.benchmarks.gpu_plan.network_facts import NetworkFacts
from flare_trt.benchmarks.gpu_plan.rehearsal import Rehearsal
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Vector
from flare_trt.engine.base.organs import MAX_EXTENT_MM
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.units import MB
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.networks.session import require_tile
from flare_trt.engine.passes.growing_box import segment_box
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.roi.cascade import coarse_labels
from flare_trt.engine.roi.scan_run import ScanRun
from flare_trt.kernels import Box

#: HU of the voxels of a planned scan: its values change nothing but which border is cropped.
_ANY_HU = -1000


@dataclass(frozen=True)
class PlannedModel:
    """A model and, for its stages by name, what their networks (one a fold) cost."""

    spec: ModelSpec
    networks: Mapping[str, Sequence[NetworkFacts]]


@dataclass(frozen=True)
class PlannedScan:
    """A scan's grid and the dtype of its voxels, int16 or float32; `roi` is where the fine stage of a cascade looks."""

    grid: Grid
    dtype: str
    roi: Box

    @staticmethod
    def of(grid: Grid, dtype: str = "int16", extent_mm: Vector = MAX_EXTENT_MM, margin_mm: float = 20.0) -> PlannedScan:
        """With an ROI in the middle of the scan: organs of this extent (head-foot, front-back, left-right) and a margin."""
        z, y, x = (size // 2 for size in grid.shape_zyx)
        half = tuple(mm / 2 + margin_mm for mm in extent_mm)
        sides = (half[0], half[1], half[2])
        return PlannedScan(grid, dtype, grid.grown(Box((z, y, x), (z, y, x)), sides, sides))

    def volume(self) -> Volume:
        """A scan of this shape that takes no memory."""
        return Volume(np.broadcast_to(np.array(_ANY_HU, self.dtype), self.grid.shape_zyx), self.grid)


@dataclass(frozen=True)
class ScanPlan:
    """The ledger of a run. `network_bytes` are the networks', there all the time.

    `events` are the run's own allocations (+bytes) and releases (-bytes) in their order.
    """

    ledger: Ledger
    precision: Precision
    network_bytes: int
    events: tuple[int, ...]

    @property
    def peak_bytes(self) -> int:
        """The most bytes that live at once, without CUDA's context."""
        return self.ledger.peak_bytes


def plan_scan(model: PlannedModel, scan: PlannedScan, options: RunOptions) -> ScanPlan:
    """Plan a run on a GPU with TensorRT. Raises BudgetError where `options.max_memory_mb` is too little.

    Raises InputError for a cascade of nnU-Net, whose second stage reads labels.
    """
    if model.spec.fine.previous is not None:
        raise InputError(f"plan: {model.spec.name} is a cascade of nnU-Net, expected a model whose stages do not read labels")
    precision = options.settings.precision_of("tensorrt")
    ledger, ct = Ledger(), scan.volume()
    kernels = Rehearsal(ledger)
    ledger.stage = "networks"
    opened = _open(model, kernels, precision)
    opening, network_bytes = len(ledger.events), ledger.live_bytes
    left = None if options.max_memory_mb is None else options.max_memory_mb * MB - network_bytes
    runners = {name: Runner(sessions, kernels, LedgerWatch(ledger, name), _silent) for name, sessions in opened.sessions.items()}
    run = ScanRun.of(ct, model.spec, options, runners, left)
    if run.coarse is not None:
        ledger.stage = "coarse"
        coarse_labels(run.coarse, run.search_box)
    ledger.stage = "fine"
    found = segment_box(run.fine, run.search_box if run.coarse is None else scan.roi)
    ledger.stage = "fine restore"
    kernels.download(found.labels)
    del found
    return ScanPlan(ledger, precision, network_bytes, tuple(ledger.events[opening:]))


class LedgerWatch(Stopwatch):
    """Writes the stage, "coarse network" and so on, into the ledger."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        super().__init__()
        self._ledger, self._name = ledger, name

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._ledger.stage = f"{self._name} {name}"
        with super().phase(name):
            yield
        self._ledger.stage = self._name


@dataclass(frozen=True)
class _Opened:
    """The sessions of each stage and what they share."""

    sessions: dict[str, list[_PlannedSession]]
    scratch: Any


class _PlannedSession:
    """See session.Session: fixed input and output arrays, as backends/trt.py has them."""

    backend = "tensorrt"
    device = "cuda:0"

    def __init__(self, facts: NetworkFacts, kernels: Rehearsal, precision: Precision) -> None:
        self.precision, self.input_shape, self.channels = precision, facts.input_shape, facts.channels
        self._ledger, self._costs = kernels.ledger, facts.costs(precision)
        with self._ledger.step("weights"):
            self._weights = kernels.empty((facts.weights_bytes(precision),), np.uint8)
        with self._ledger.step("network input"):
            self._input = kernels.empty(facts.input_shape, np.float32)
        with self._ledger.step("logits of a tile"):
            self._output = kernels.empty((1, facts.channels, *facts.input_shape[2:]), np.float32)

    def run(self, tile: Any) -> Any:
        require_tile(self, tile)
        with self._ledger.step("copy", Cost(2 * tile.nbytes, 0)):
            pass
        with self._ledger.step("network", *self._costs, bound="network"):
            return self._output[0]

    def close(self) -> None:
        """The arrays go with the session."""


def _open(model: PlannedModel, kernels: Rehearsal, precision: Precision) -> _Opened:
    """All sessions, and the one block of scratch memory that they share (backends/trt_workspace.py)."""
    sessions = {name: [_PlannedSession(facts, kernels, precision) for facts in model.networks[name]] for name in model.spec.stages}
    most = max(facts.activations_bytes(precision) for folds in model.networks.values() for facts in folds)
    with kernels.ledger.step("activations (estimate)"):
        return _Opened(sessions, kernels.empty((most,), np.uint8))


def _silent(done: int, total: int) -> None:
    """Nobody watches a plan."""
