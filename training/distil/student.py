"""A trained student: its configuration, its averaged weights and what its run's log says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.loop import read_log
from flare_trt.training.distil.network import SeparableUNet, network_from_onnx


@dataclass(frozen=True)
class Student:
    """A configuration and a checkpoint of its run; without one, the teacher's own weights at the student's spacing.

    With a `teacher_share` in the configuration, the averaged weights are mixed with the teacher's.
    """

    config: DistilConfig
    checkpoint: Path | None

    def network(self) -> SeparableUNet:
        """The weights that are bundled, in evaluation mode. Raises InputError for a missing checkpoint."""
        share = 1.0 if self.checkpoint is None else self.config.teacher_share
        if share:
            network = network_from_onnx(Path(self.config.teacher.onnx), self.config.network)
        else:
            network = SeparableUNet(self.config.network)
        if self.checkpoint is not None:
            learnt, start = self._content(self.checkpoint)["averaged"], network.state_dict()
            network.load_state_dict({name: share * start[name] + (1 - share) * learnt[name] for name in start})
        network.eval()
        return network

    @property
    def origin(self) -> str:
        """Where the weights come from, in words."""
        start = "the weights of the FLARE25 teacher" if self.config.start_from_teacher else "random weights"
        if self.steps == 0:
            return f"{start}, unchanged"
        mixed = f" and mixed with {self.config.teacher_share:.0%} of its start" if self.config.teacher_share else ""
        return f"{start}, distilled for {self.steps} steps{mixed}"

    @property
    def steps(self) -> int:
        """Steps of training behind the weights."""
        return 0 if self.checkpoint is None else int(self._content(self.checkpoint)["step"])

    @property
    def hours(self) -> float:
        """Wall clock of those steps."""
        return 0.0 if self.checkpoint is None else float(self._content(self.checkpoint)["seconds"]) / 3600

    def log(self) -> Iterator[dict[str, Any]]:
        """Lines of the run's log up to the checkpoint; none for the teacher's own weights."""
        if self.checkpoint is not None and (self.checkpoint.parent / "log.jsonl").exists():
            yield from (line for line in read_log(self.checkpoint.parent) if line["step"] <= self.steps)

    def _content(self, checkpoint: Path) -> dict[str, Any]:
        if not checkpoint.exists():
            raise InputError(f"{checkpoint}: no such checkpoint; train the student first")
        content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return content
