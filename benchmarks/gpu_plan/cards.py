"""What a GPU can do at best, from NVIDIA's data sheets: the least time that a step can take on it."""

from __future__ import annotations

from dataclasses import dataclass

from flare_trt.benchmarks.gpu_plan.ledger import Step
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.modes import Precision


@dataclass(frozen=True)
class Card:
    """Memory in GB, bandwidths in GB/s (10^9), arithmetic in TFLOP/s (10^12).

    `fp16_tflops` is of the tensor cores without sparsity, with sums in float32; `link_gb_s` one direction of PCI Express.
    """

    name: str
    memory_gb: float
    memory_gb_s: float
    fp32_tflops: float
    fp16_tflops: float
    link_gb_s: float

    def seconds(self, step: Step, precision: Precision) -> float:
        """The least time of a step whose networks compute in `precision`."""
        if step.bound == "copy":
            return sum(cost.bytes_moved for cost in step.costs) / (self.link_gb_s * 1e9)
        halves = step.bound == "network" and precision == "fp16"
        peak = (self.fp16_tflops if halves else self.fp32_tflops) * 1e12
        return sum(cost.seconds(self.memory_gb_s * 1e9, peak) for cost in step.costs)


CARDS = (
    Card("Quadro RTX 5000", 16, 448, 11.2, 89.2, 15.75),  # the paper's
    Card("GeForce RTX 3090", 24, 936, 35.6, 71, 31.5),
    Card("H100 SXM", 80, 3350, 66.9, 989, 63),
)


def card_named(text: str) -> Card:
    """The one card whose name holds `text`, in any case. Raises InputError."""
    found = [card for card in CARDS if text.lower() in card.name.lower()]
    if len(found) != 1:
        raise InputError(f"GPU: got {text!r}, expected part of the name of one of {', '.join(card.name for card in CARDS)}")
    return found[0]
