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
from flare_trt.training.tumours.loss import tumour_loss
from flare_trt.training.tumours.network import HalfConfig, HalfUNet, start_from_teacher
from flare_trt.training.tumours.pool import pool_files, read_patch
from flare_trt.training.tumours.scene import FULL

#: For so many steps only stem, first stage and head learn: what comes from the teacher waits until its input is of use.
FROZEN_STEPS = 300
#: Patches that are read ahead.
AHEAD = 4


@dataclass(frozen=True)
class Example:
    """A normalised image (1, 1, z, y, x), class shares (15, z, y, x) and trust (z, y, x)."""

    image: Tensor
    target: Tensor
    trust: Tensor


def new_state(config: DistilConfig) -> TrainState:
    """First state of a run: the teacher's inner stages, random stem and head."""
    torch.manual_seed(config.seed)
    network, averaged = HalfUNet(HalfConfig()), HalfUNet(HalfConfig())
    if config.start_from_teacher:
        start_from_teacher(network, Path(config.teacher.onnx))
    averaged.load_state_dict(network.state_dict())
    for module in (network, averaged):
        module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    schedule = config.schedule
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
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
    for parameter in state.network.body():  # type: ignore[operator]
        parameter.requires_grad_(state.step >= FROZEN_STEPS)
    state.network.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = state.network(example.image.to(memory_format=torch.channels_last_3d))[0]
    logits = logits.float()
    loss = tumour_loss(logits, example.target, example.trust)
    state.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), 3.0)
    state.optimizer.step()
    state.step += 1
    follow(state.averaged, state.network, min(config.schedule.average, state.step / (state.step + 10)))
    return float(loss.detach()), _tumour_dice(logits.detach(), example.target)


def _tumour_dice(logits: Tensor, target: Tensor) -> float:
    mine, real = logits.argmax(0) == 14, target.argmax(0) == 14
    total = int(real.sum())
    return 2 * float((mine & real).sum()) / float(mine.sum() + real.sum()) if total > 20 else math.nan


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
    scene = read_patch(files[int(rng.integers(len(files)))], config.spacing_mm)
    doubt = torch.from_numpy(FULL - scene.trust)[None].float()  # 0 where the label is sure, and outside the scan
    target = torch.cat((torch.from_numpy(scene.shares), doubt))
    patch = finished(torch.from_numpy(scene.hu), target, config, rng)
    return Example(patch.image[None, None], patch.target[:-1], FULL - patch.target[-1].round())
