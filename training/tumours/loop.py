"""The training, on a CPU or one GPU: the branch learns from crops of drawn tiles, in bfloat16, resumable."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.loop import TrainState, append_log, follow, learning_rate, only_run_in
from flare_trt.training.distil.network import SeparableUNet
from flare_trt.training.tumours.crops import CROP_ZYX, CROPS, Crops, crops_of_steps
from flare_trt.training.tumours.examples import Steps
from flare_trt.training.tumours.loss import LEAST_VOXELS, tumour_loss
from flare_trt.training.tumours.measures import measures
from flare_trt.training.tumours.network import TumourConfig, TumourUNet

#: Updates of a step, each on one crop of each of its tiles. More and smaller ones learn more: see training/LOG.md.
UPDATES = CROPS
#: A patch's depth is a multiple of it, and that many slices are one at the branch's lowest stage.
LEAST_DEPTH = 16


@dataclass(frozen=True)
class Pace:
    """Where a run computes, and when it pauses: at `stop_at` (time.monotonic). With `finish_s` the schedule lasts so many seconds,
    however many steps they hold: where time is what is lent, the learning rate has fallen when it is over."""

    device: str = "cpu"
    stop_at: float = math.inf
    finish_s: float | None = None

    def step_of(self, state: TrainState, steps: int) -> int:
        """The step of the schedule that the run has come to."""
        return state.step if self.finish_s is None else int(steps * state.seconds / self.finish_s)


def new_state(config: DistilConfig, organs: SeparableUNet, device: str = "cpu") -> TrainState:
    """First state of a run: the organs' network and a random branch."""
    torch.manual_seed(config.seed)
    network, averaged = (TumourUNet(TumourConfig(config.network)).to(device) for _ in range(2))
    network.organs.load_state_dict(organs.state_dict())
    averaged.load_state_dict(network.state_dict())
    schedule = config.schedule
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    return TrainState(network, averaged, optimizer)


def train(
    config: DistilConfig, organs: SeparableUNet, examples: Callable[[int], Steps], folder: Path, pace: Pace = Pace()
) -> TrainState:
    """Train to the end of the schedule, or until the pace says so. Continues where `folder`/last.pt stands.

    `organs` stays as it is; `examples` gives those of a step and on. Raises InputError where patches are 32 deep.
    """
    depth = min(config.train_patch_zyx[0], CROP_ZYX[0])
    if depth // LEAST_DEPTH == 2:
        raise InputError(
            f"{config.name}: train_patch_zyx: got {depth} slices, which are two at the lowest stage, where PyTorch's bfloat16 "
            f"gradient is wrong (findings/torch_bf16_gradient_at_depth_two.sh); take {3 * LEAST_DEPTH} or more"
        )
    with only_run_in(folder):
        state = new_state(config, organs, pace.device)
        if (folder / "last.pt").exists():
            state.load(folder / "last.pt")
        _run(state, config, examples(state.step), folder, pace)
        state.save(folder / "last.pt")
    return state


def _run(state: TrainState, config: DistilConfig, examples: Steps, folder: Path, pace: Pace) -> None:
    schedule, sums = config.schedule, list[tuple[Tensor, Tensor]]()
    began = time.monotonic() - state.seconds
    for crops in crops_of_steps(state.network, examples, state.step, config.seed):
        now = pace.step_of(state, schedule.steps)
        if now >= schedule.steps or time.monotonic() >= pace.stop_at:
            return
        sums += train_step(state, crops, config, learning_rate(schedule, now))
        state.seconds = time.monotonic() - began
        if state.step % schedule.log_every == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # no crop showed a tumour
                loss, tumour = np.nanmean(torch.tensor(sums).numpy(), 0)
            append_log(folder, {"step": state.step, "seconds": state.seconds, "loss": float(loss), "tumour dice": float(tumour)})
            sums.clear()
            state.save(folder / "last.pt")
        if state.step % schedule.validate_every == 0:
            state.save(folder / f"step_{state.step:06d}.pt")


def train_step(state: TrainState, crops: Crops, config: DistilConfig, rate: float) -> list[tuple[Tensor, Tensor]]:
    """Learn from crops of some tiles; returns each update's loss and the tumour's Dice (nan where its crops show none)."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    network = state.network
    network.train()
    scores = []
    for update in range(UPDATES):
        batch = crops.some(update, UPDATES)
        found = measures(batch.image, batch.organs, batch.levels)  # in float32: autocast would round its products of matrices
        with torch.autocast(batch.image.device.type, torch.bfloat16):
            logit = network.branch(*found)
        rows, share, known = (value.float().flatten() for value in (logit, batch.share, batch.known))
        loss = tumour_loss(rows, share, known)
        state.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 3.0)
        state.optimizer.step()
        follow(state.averaged, network, min(config.schedule.average, (state.step + 1) / (state.step + 11)))
        scores.append((loss.detach(), _dice(rows.detach(), share, known)))
    state.step += 1
    return scores


def _dice(logit: Tensor, share: Tensor, known: Tensor) -> Tensor:
    """Dice of the tumour, nan where the crops show none."""
    real, mine = (share > 0.5) & (known > 0), (logit > 0) & (known > 0)
    dice = 2 * (mine & real).sum() / (real.sum() + mine.sum())
    return torch.where(real.sum() > LEAST_VOXELS, dice, math.nan)
