"""The training loop: bfloat16 arithmetic, patches from a pool, resumable at any moment."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.loop import TrainState, append_log, follow, learning_rate, only_run_in
from flare_trt.training.distil.patches import finished
from flare_trt.training.distil.soft_labels import KEPT
from flare_trt.training.tumours.head_fit import fit_head
from flare_trt.training.tumours.loss import LEAST_VOXELS, Target, tumour_loss
from flare_trt.training.tumours.network import HalfConfig, HalfUNet, start_from_teacher
from flare_trt.training.tumours.pool import pool_files, read_patch
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL

#: Tiles whose features the head is fitted to.
FITTED_TILES = 36
#: Patches that are read ahead.
AHEAD = 4


@dataclass(frozen=True)
class Example:
    """A normalised image (1, 1, z, y, x) and the target of its voxels in C order."""

    image: Tensor
    target: Target


def new_state(config: DistilConfig) -> TrainState:
    """First state of a run, before its head is fitted: the teacher's stages, a random branch and head."""
    torch.manual_seed(config.seed)
    network, averaged = HalfUNet(HalfConfig()), HalfUNet(HalfConfig())
    if config.start_from_teacher:
        start_from_teacher(network, Path(config.teacher.onnx))
    schedule = config.schedule
    network.freeze_teacher()
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    return TrainState(network, averaged, optimizer)


def train(config: DistilConfig, pool: Path, folder: Path, stop_at: float = math.inf) -> TrainState:
    """Train to the end of the schedule, or until `stop_at` (time.monotonic). Continues where `folder`/last.pt stands.

    Raises InputError where the pool is empty.
    """
    if not pool_files(pool):
        raise InputError(f"{pool}: got no patches; fill the pool first with 'flare-trt train tumours pool'")
    with only_run_in(folder):
        state = new_state(config)
        if (folder / "last.pt").exists():
            state.load(folder / "last.pt")
        else:
            tiles = (draw_example(config, pool, config.schedule.steps + number) for number in range(FITTED_TILES))
            fit_head(state.network, ((tile.image, tile.target) for tile in tiles), config.seed)
            state.averaged.load_state_dict(state.network.state_dict())
        _run(state, config, pool, folder, stop_at)
        state.save(folder / "last.pt")
    return state


def _run(state: TrainState, config: DistilConfig, pool: Path, folder: Path, stop_at: float) -> None:
    schedule, sums = config.schedule, list[tuple[float, float]]()
    for example in _examples(config, pool, state.step):
        if state.step >= schedule.steps or time.monotonic() >= stop_at:
            return
        started = time.monotonic()
        sums.append(train_step(state, example, config))
        state.seconds += time.monotonic() - started
        if state.step % schedule.log_every == 0:
            loss, tumour = np.nanmean(np.array(sums), 0)
            append_log(folder, {"step": state.step, "seconds": state.seconds, "loss": float(loss), "tumour dice": float(tumour)})
            sums.clear()
            state.save(folder / "last.pt")
        if state.step % schedule.validate_every == 0:
            state.save(folder / f"step_{state.step:06d}.pt")


def train_step(state: TrainState, example: Example, config: DistilConfig) -> tuple[float, float]:
    """One step; returns the loss and the tumour's Dice of the patch (nan where it has none)."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config.schedule, state.step)
    state.network.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = state.network(example.image)[0]
    rows = logits.float().flatten(1)
    loss = tumour_loss(rows, example.target)
    state.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), 3.0)
    state.optimizer.step()
    state.step += 1
    follow(state.averaged, state.network, min(config.schedule.average, state.step / (state.step + 10)))
    return float(loss.detach()), _tumour_dice(rows.detach(), example.target)


def _tumour_dice(logits: Tensor, target: Target) -> float:
    """Dice of the tumour, nan where the patch shows none."""
    real = (target.classes[0] == TUMOUR) & (target.trust == FULL)
    total = int(real.sum())
    if total <= LEAST_VOXELS:
        return math.nan
    mine = (logits[TUMOUR] >= logits.amax(0)) & (target.trust == FULL)
    return 2 * float((mine & real).sum()) / (total + float(mine.sum()))


def _examples(config: DistilConfig, pool: Path, first: int) -> Iterator[Example]:
    """Examples of step `first` on, drawn ahead on a thread: each is a random patch of the pool with random intensity."""
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(draw_example, config, pool, first + ahead) for ahead in range(AHEAD)]
        step = first + AHEAD
        while True:
            yield waiting.pop(0).result()
            waiting.append(reader.submit(draw_example, config, pool, step))
            step += 1


def draw_example(config: DistilConfig, pool: Path, step: int) -> Example:
    """The example of a step: which patch and how it is varied hang on the step alone."""
    rng = np.random.default_rng([config.seed, step])
    files = pool_files(pool)
    stored = read_patch(files[int(rng.integers(len(files)))])
    # classes, shares and doubt travel as channels of one target through what is cut and blanked; 0 is sure background
    packed = np.concatenate([stored.labels.classes, stored.labels.shares, FULL - stored.trust[None]]).astype(np.float32)
    packed[KEPT] = 255 - packed[KEPT : 2 * KEPT].sum(0) + packed[KEPT]
    patch = finished(torch.from_numpy(stored.hu.astype(np.float32)), torch.from_numpy(packed), config, rng)
    channels = patch.target.round().flatten(1)
    ends = channels[KEPT : 2 * KEPT].sum(0) < 1  # beyond the scan
    shares = channels[KEPT : 2 * KEPT] / 255
    shares[0, ends] = 1
    return Example(patch.image[None, None], Target(channels[:KEPT].long() * ~ends, shares, FULL - channels[-1]))
