"""The training loop: bfloat16 arithmetic, patches from a pool, resumable at any moment."""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.loop import TrainState, append_log, follow, learning_rate, only_run_in
from flare_trt.training.tumours.crops import CROP_ZYX, CROPS, Crops, crops_of_steps
from flare_trt.training.tumours.loss import LEAST_VOXELS, tumour_loss
from flare_trt.training.tumours.network import TumourConfig, TumourUNet, organs_of_bundle
from flare_trt.training.tumours.pool import pool_files

#: Updates of a step, each on one crop of each of its tiles. More and smaller ones learn more: see training/LOG.md.
UPDATES = CROPS
#: A patch's depth is a multiple of it, and that many slices are one at the branch's lowest stage.
LEAST_DEPTH = 16


def new_state(config: DistilConfig, organs: Path) -> TrainState:
    """First state of a run: the organs' network of a bundle and a random branch."""
    torch.manual_seed(config.seed)
    network, averaged = (TumourUNet(TumourConfig(config.network)) for _ in range(2))
    network.organs.load_state_dict(organs_of_bundle(organs, config.network).state_dict())
    averaged.load_state_dict(network.state_dict())
    schedule = config.schedule
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    return TrainState(network, averaged, optimizer)


def train(config: DistilConfig, organs: Path, pool: Path, folder: Path, stop_at: float = math.inf) -> TrainState:
    """Train to the end of the schedule, or until `stop_at` (time.monotonic). Continues where `folder`/last.pt stands.

    `organs` is the bundle whose fine network stays as it is. Raises InputError where the pool is empty or patches are 32 deep.
    """
    depth = min(config.train_patch_zyx[0], CROP_ZYX[0])
    if depth // LEAST_DEPTH == 2:
        raise InputError(
            f"{config.name}: train_patch_zyx: got {depth} slices, which are two at the lowest stage, where PyTorch's bfloat16 "
            f"gradient is wrong (findings/torch_bf16_gradient_at_depth_two.sh); take {3 * LEAST_DEPTH} or more"
        )
    if not pool_files(pool):
        raise InputError(f"{pool}: got no patches; fill the pool first with 'flare-trt train tumours pool'")
    with only_run_in(folder):
        state = new_state(config, organs)
        if (folder / "last.pt").exists():
            state.load(folder / "last.pt")
        _run(state, config, pool, folder, stop_at)
        state.save(folder / "last.pt")
    return state


def _run(state: TrainState, config: DistilConfig, pool: Path, folder: Path, stop_at: float) -> None:
    schedule, sums = config.schedule, list[tuple[float, float]]()
    for crops in crops_of_steps(config, pool, state.step, state.network):
        if state.step >= schedule.steps or time.monotonic() >= stop_at:
            return
        started = time.monotonic()
        sums += train_step(state, crops, config)
        state.seconds += time.monotonic() - started
        if state.step % schedule.log_every == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # no crop showed a tumour
                loss, tumour = np.nanmean(np.array(sums), 0)
            append_log(folder, {"step": state.step, "seconds": state.seconds, "loss": float(loss), "tumour dice": float(tumour)})
            sums.clear()
            state.save(folder / "last.pt")
        if state.step % schedule.validate_every == 0:
            state.save(folder / f"step_{state.step:06d}.pt")


def train_step(state: TrainState, crops: Crops, config: DistilConfig) -> list[tuple[float, float]]:
    """Learn from crops of some tiles; returns each update's loss and the tumour's Dice (nan where its crops show none)."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config.schedule, state.step)
    network = state.network
    network.train()
    scores = []
    for update in range(UPDATES):
        batch = crops.some(update, UPDATES)
        with torch.autocast("cpu", torch.bfloat16):
            logit = network.tumour_logit(batch.image, batch.half, batch.first)
        rows, share, known = (value.float().flatten() for value in (logit, batch.share, batch.known))
        loss = tumour_loss(rows, share, known)
        state.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 3.0)
        state.optimizer.step()
        follow(state.averaged, network, min(config.schedule.average, (state.step + 1) / (state.step + 11)))
        scores.append((float(loss.detach()), _dice(rows.detach(), share, known)))
    state.step += 1
    return scores


def _dice(logit: Tensor, share: Tensor, known: Tensor) -> float:
    """Dice of the tumour, nan where the crops show none."""
    real, mine = (share > 0.5) & (known > 0), (logit > 0) & (known > 0)
    if int(real.sum()) <= LEAST_VOXELS:
        return math.nan
    return 2 * float((mine & real).sum()) / float(real.sum() + mine.sum())
