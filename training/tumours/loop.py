"""The training loop: bfloat16 arithmetic, patches from a pool, resumable at any moment."""

from __future__ import annotations

import math
import time
import warnings
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
from flare_trt.training.tumours.levels import Place
from flare_trt.training.tumours.loss import LEAST_VOXELS, Target, tumour_loss
from flare_trt.training.tumours.network import HalfConfig, HalfUNet, start_from_teacher
from flare_trt.training.tumours.pool import pool_files, read_patch
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL

#: Tiles that the branch's norms are calibrated on, and whose features the head is fitted to.
CALIBRATION_TILES, FITTED_TILES = 6, 36
#: Patches that are read ahead.
AHEAD = 4
#: Voxels of a crop, crops of a tile that shows lesions, how many of them lie about one, and crops of a tile that shows none.
CROP_ZYX, CROPS, CROPS_ABOUT_LESIONS, CROPS_WITHOUT = (48, 96, 96), 6, 4, 3
#: Above this normalised value the body begins.
BODY = -2.5


@dataclass(frozen=True)
class Example:
    """A normalised image (1, 1, z, y, x) and the target of its voxels in C order."""

    image: Tensor
    target: Target

    def target_of(self, place: Place) -> Target:
        """The target of a box of voxels."""
        shape, box = self.image.shape[2:], (slice(None), *place)
        classes, shares = (rows.view(-1, *shape)[box].flatten(1) for rows in (self.target.classes, self.target.shares))
        return Target(classes, shares, self.target.trust.view(shape)[place].flatten())


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
            _start(state.network, config, pool)
            state.averaged.load_state_dict(state.network.state_dict())
        _run(state, config, pool, folder, stop_at)
        state.save(folder / "last.pt")
    return state


def _start(network: HalfUNet, config: DistilConfig, pool: Path) -> None:
    """Calibrate the branch's norms and fit the head, on tiles that no step will draw."""
    first = config.schedule.steps

    def tiles(count: int) -> Iterator[Example]:
        return (draw_example(config, pool, first + number) for number in range(count))

    with torch.no_grad():
        network.branch.calibrate((tile.image, network.organ_features(tile.image)[0]) for tile in tiles(CALIBRATION_TILES))
    fit_head(network, ((tile.image, tile.target) for tile in tiles(FITTED_TILES)), config.seed)


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
    """Learn from some crops of one tile; returns their mean loss and the tumour's mean Dice (nan where none shows one).

    The teacher's features are those of the whole tile, once for all crops: so each crop knows where in the body it lies.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config.schedule, state.step)
    state.network.train()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        inner, first = state.network.organ_features(example.image)
    scores = []
    for place in crop_places(example, np.random.default_rng([config.seed, 3, state.step])):
        half = tuple(slice(part.start // 2, part.stop // 2) for part in place)
        here, there = (slice(None), slice(None), *place), (slice(None), slice(None), *half)
        target = example.target_of(place)
        with torch.autocast("cpu", torch.bfloat16):
            logits = state.network.crop_logits(example.image[here], inner[there], first[here])[0]
        rows = logits.float().flatten(1)
        loss = tumour_loss(rows, target)
        state.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(state.network.parameters(), 3.0)
        state.optimizer.step()
        follow(state.averaged, state.network, min(config.schedule.average, (state.step + 1) / (state.step + 11)))
        scores.append((float(loss.detach()), _tumour_dice(rows.detach(), target)))
    state.step += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no crop shows a tumour
        loss_mean, dice_mean = np.nanmean(np.array(scores), 0)
    return float(loss_mean), float(dice_mean)


def crop_places(example: Example, rng: np.random.Generator) -> list[Place]:
    """Where the crops of a tile lie: most about lesions where it has some, the others anywhere in the body. Corners are even."""
    shape = example.image.shape[2:]
    best = example.target.classes[0].view(shape).numpy()
    lesions, body = np.flatnonzero(best == TUMOUR), np.flatnonzero(example.image[0, 0].numpy() > BODY)
    crops = []
    for number in range(CROPS if lesions.size else CROPS_WITHOUT):
        places = lesions if lesions.size and number < CROPS_ABOUT_LESIONS else body
        middle = np.unravel_index(int(rng.choice(places)) if places.size else int(rng.integers(best.size)), shape)
        sizes = [min(size, whole) for size, whole in zip(CROP_ZYX, shape, strict=True)]
        starts = [
            int(np.clip(at - size * rng.uniform(0.25, 0.75), 0, whole - size)) // 2 * 2
            for at, size, whole in zip(middle, sizes, shape, strict=True)
        ]
        z, y, x = (slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
        crops.append((z, y, x))
    return crops


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
