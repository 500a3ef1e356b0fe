"""A plan in numbers for people and for JSON: its buffers by name, its stages on a card, its peak and area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flare_trt.benchmarks.gpu_plan.cards import Card
from flare_trt.benchmarks.gpu_plan.ledger import Allocation
from flare_trt.benchmarks.gpu_plan.scan_plan import ScanPlan
from flare_trt.engine.base.units import MB

#: (operation, dtype, axes) of an allocation -> what it is; the operation's own name where it is not here.
_NAMES = {
    ("zeros", "float32", 4): "input planes",
    ("zeros", "float16", 4): "logits ring",
    ("zeros", "float16", 3): "weights ring",
    ("zeros", "uint8", 3): "labels",
    ("empty", "float32", 5): "tile",
    ("upload", "float16", 3): "Gaussian",
    ("upload", "uint8", 3): "mask of the slab",
    ("upload", "int16", 3): "source slab",
    ("upload", "float32", 3): "source slab",
    ("normalise", "float32", 3): "normalised slab",
    ("resample", "float32", 3): "resampled slab",
    ("copy", "float16", 3): "clipped Gaussian",
    ("copy", "float32", 4): "clipped or mirrored logits",
    ("copy", "float32", 5): "flipped tile",
}


@dataclass(frozen=True)
class BufferRow:
    """All arrays of one name in one stage's pass: how many in turn, bytes of the largest, first and last step."""

    part: str
    name: str
    count: int
    largest_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class StageRow:
    """One stage: its steps, the least seconds that a card needs for them, and the most bytes that live meanwhile."""

    stage: str
    steps: int
    seconds: float
    peak_bytes: int


def buffer_name(allocation: Allocation) -> str:
    """What an array is for."""
    key = allocation.operation, allocation.dtype, len(allocation.shape)
    if key[0] in ("restore", "resample") and key not in _NAMES:
        return "tables of taps"
    return _NAMES.get(key, allocation.operation)


def buffer_rows(plan: ScanPlan) -> list[BufferRow]:
    """In the order in which they first appear."""
    groups: dict[tuple[str, str], list[Allocation]] = {}
    for allocation in plan.ledger.allocations:
        groups.setdefault((allocation.stage.partition(" ")[0], buffer_name(allocation)), []).append(allocation)
    end = len(plan.ledger.steps) - 1
    return [
        BufferRow(
            part,
            name,
            len(found),
            max(a.nbytes for a in found),
            min(a.first for a in found),
            max(end if a.last is None else a.last for a in found),
        )
        for (part, name), found in groups.items()
    ]


def stage_rows(plan: ScanPlan, card: Card) -> list[StageRow]:
    """In the order in which they first run; the opening of the networks takes no step of the card."""
    stages: dict[str, list[int]] = {}
    for index, step in enumerate(plan.ledger.steps):
        stages.setdefault(step.stage, []).append(index)
    steps = plan.ledger.steps
    return [
        StageRow(
            stage,
            len(indices),
            sum(card.seconds(steps[i], plan.precision) for i in indices),
            max(steps[i].peak_bytes for i in indices),
        )
        for stage, indices in stages.items()
    ]


def least_seconds(plan: ScanPlan, card: Card) -> float:
    """The least time of the whole run: no step at the same time as another."""
    return sum(card.seconds(step, plan.precision) for step in plan.ledger.steps)


def area_mb_s(plan: ScanPlan, card: Card) -> float:
    """Memory-time area (MB = 10^6 bytes) at the least times. A step counts with the most that lives while it runs."""
    return sum(card.seconds(step, plan.precision) * step.peak_bytes / MB for step in plan.ledger.steps)


def as_json(plan: ScanPlan, card: Card) -> dict[str, Any]:
    """Every buffer and every step."""
    return {
        "gpu": card.name,
        "precision": plan.precision,
        "peak_bytes": plan.peak_bytes,
        "network_bytes": plan.network_bytes,
        "least_seconds": least_seconds(plan, card),
        "area_mb_s": area_mb_s(plan, card),
        "buffers": [
            {"name": buffer_name(a), "stage": a.stage, "bytes": a.nbytes, "first_step": a.first, "last_step": a.last}
            for a in plan.ledger.allocations
        ],
        "steps": [
            {"stage": s.stage, "operation": s.operation, "seconds": card.seconds(s, plan.precision), "peak_bytes": s.peak_bytes}
            for s in plan.ledger.steps
        ],
    }
