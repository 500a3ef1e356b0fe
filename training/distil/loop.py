"""The training loop of a student: resumable at any moment, one JSON line an interval."""

from __future__ import annotations

import fcntl
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import atomic_file
from flare_trt.training.distil.config import DistilConfig, ScheduleConfig
from flare_trt.training.distil.loss import distillation_loss
from flare_trt.training.distil.network import SeparableUNet, network_from_onnx
from flare_trt.training.distil.patches import draw_patch
from flare_trt.training.distil.validate import torch_network, validate
from flare_trt.training.distil.views import View


@dataclass
class TrainState:
    """Everything that a resumed run needs. `averaged` follows the weights slowly and is what is validated and exported."""

    network: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0

    def save(self, path: Path) -> None:
        """Write the checkpoint under a temporary name and rename it."""
        content = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
        }
        with atomic_file(path) as file:
            torch.save(content, file)

    def load(self, path: Path) -> None:
        """Take a checkpoint that `save` wrote."""
        content = torch.load(path, map_location="cpu", weights_only=True)  # it may come from a machine with a GPU
        self.network.load_state_dict(content["network"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.step, self.seconds, self.best = content["step"], content["seconds"], content["best"]


def new_state(config: DistilConfig) -> TrainState:
    """First state of a run: the teacher's weights or random ones."""
    torch.manual_seed(config.seed)
    if config.start_from_teacher:
        network, averaged = (network_from_onnx(Path(config.teacher.onnx), config.network) for _ in range(2))
    else:
        network, averaged = SeparableUNet(config.network), SeparableUNet(config.network)
        averaged.load_state_dict(network.state_dict())
    schedule = config.schedule
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    return TrainState(network, averaged, optimizer)


def train(config: DistilConfig, views: Sequence[View], folder: Path, stop_at: float = math.inf) -> TrainState:
    """Train to the end of the schedule, or until `stop_at` (time.monotonic). Continues where `folder`/last.pt stands.

    `folder` holds last.pt, best.pt (by validation) and log.jsonl. Raises InputError where there is nothing to learn from.
    """
    if not views and config.mix.phantom < 1:
        raise InputError("distil: there are no teacher views; make them first with 'flare-trt train distil views'")
    with only_run_in(folder):
        state = new_state(config)
        if (folder / "last.pt").exists():
            state.load(folder / "last.pt")
        _run(state, config, views, folder, stop_at)
        state.save(folder / "last.pt")
    return state


def _run(state: TrainState, config: DistilConfig, views: Sequence[View], folder: Path, stop_at: float) -> None:
    schedule, losses = config.schedule, list[float]()
    while state.step < schedule.steps and time.monotonic() < stop_at:
        started = time.monotonic()
        losses.append(train_step(state, views, config))
        state.seconds += time.monotonic() - started
        if state.step % schedule.log_every == 0:
            append_log(folder, {"step": state.step, "seconds": state.seconds, "loss": float(np.mean(losses))})
            losses.clear()
            state.save(folder / "last.pt")
        if state.step % schedule.validate_every == 0:
            _validate(state, config, folder)


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises InputError where another process trains there; the lock goes with its process."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another process trains here; wait for it, or name another folder") from error
        yield


def train_step(state: TrainState, views: Sequence[View], config: DistilConfig) -> float:
    """One patch, one step of the optimiser; the random numbers hang on the step alone, so a resumed run repeats none."""
    rng = np.random.default_rng([config.seed, state.step])
    patch = draw_patch(views, config, rng)
    schedule = config.schedule
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(schedule, state.step)
    state.network.train()
    logits = state.network(patch.image[None, None])[0]
    loss = distillation_loss(logits, patch.target, schedule.dice_weight, schedule.hard_weight)
    state.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), 3.0)
    state.optimizer.step()
    state.step += 1
    follow(state.averaged, state.network, min(schedule.average, state.step / (state.step + 10)))
    return float(loss.detach())


def learning_rate(schedule: ScheduleConfig, step: int) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    if step < schedule.warmup_steps:
        return schedule.learning_rate * (step + 1) / schedule.warmup_steps
    done = (step - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    return schedule.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log."""
    for line in (folder / "log.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def _validate(state: TrainState, config: DistilConfig, folder: Path) -> None:
    state.averaged.eval()
    scores = validate(torch_network(state.averaged), config)
    append_log(folder, {"step": state.step, "seconds": state.seconds, **{name: round(score, 4) for name, score in scores.items()}})
    mean = float(np.mean([score for name, score in scores.items() if name.startswith("dice") and name.count(" ") == 1]))
    if mean > state.best:
        state.best = mean
        state.save(folder / "best.pt")


@torch.no_grad()
def follow(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged weights towards the network's; `keep` is the share of the old ones."""
    for slow, quick in zip(averaged.parameters(), network.parameters(), strict=True):
        slow.lerp_(quick, 1 - keep)


def append_log(folder: Path, line: dict[str, Any]) -> None:
    """Add a line to the run's log."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
