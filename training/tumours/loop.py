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
from numpy.typing import NDArray
from torch import Tensor, nn

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.pieces import label_pieces, piece_cuts
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.loop import TrainState, append_log, follow, learning_rate, only_run_in
from flare_trt.training.distil.patches import finished
from flare_trt.training.tumours.levels import Place
from flare_trt.training.tumours.loss import LEAST_VOXELS, tumour_loss
from flare_trt.training.tumours.network import TumourConfig, TumourUNet, contrast_to_organs, organs_of_bundle
from flare_trt.training.tumours.pool import pool_files, read_patch
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL

#: Tiles that are read ahead, and tiles of a step: a step that shows two scans follows no single one.
AHEAD, TILES = 4, 2
#: Voxels of a crop, crops of a tile and how many of them lie about a lesion where it has some; updates of a step.
CROP_ZYX, CROPS, CROPS_ABOUT_LESIONS, UPDATES = (48, 96, 96), 4, 2, 2
#: The last crop of a tile lies about one of these where it shows some: gallbladder, stomach, duodenum hold fluid, as cysts and
#: necrotic lesions do. Without it every gallbladder became a tumour.
LOOK_ALIKES = (9, 11, 12)
#: A crop about a lesion is that many times as likely to be about one of the liver: most lesions that are looked for lie there.
LIVER, LIVER_WEIGHT = 1, 3.0
#: A patch's depth is a multiple of it, and that many slices are one at the branch's lowest stage.
LEAST_DEPTH = 16
#: Above this normalised value the body begins.
BODY = -2.5


@dataclass(frozen=True)
class Example:
    """A normalised image (1, 1, z, y, x), and of each voxel the share of tumour, whether that is known, and the class (z, y, x)."""

    image: Tensor
    share: Tensor
    known: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Crops:
    """Parts of tiles, as many as `image` is long: what the branch sees of each and what it should say."""

    image: Tensor
    half: Tensor
    first: Tensor
    share: Tensor
    known: Tensor

    def some(self, start: int, step: int) -> Crops:
        """Each `step`-th crop."""
        return Crops(*(value[start::step] for value in (self.image, self.half, self.first, self.share, self.known)))


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
    for examples in _examples(config, pool, state.step):
        if state.step >= schedule.steps or time.monotonic() >= stop_at:
            return
        started = time.monotonic()
        sums += train_step(state, examples, config)
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


def train_step(state: TrainState, examples: list[Example], config: DistilConfig) -> list[tuple[float, float]]:
    """Learn from crops of some tiles; returns each update's loss and the tumour's Dice (nan where its crops show none).

    The organs' features are those of the whole tile, once for all its crops: so each crop knows where in the body it lies.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config.schedule, state.step)
    network = state.network
    network.train()
    crops = cut_crops(network, examples, np.random.default_rng([config.seed, 3, state.step]))
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


def cut_crops(network: TumourUNet, examples: list[Example], rng: np.random.Generator) -> Crops:
    """Crops of each example with the organs' features there, some of them mirrored."""
    found = list[tuple[Tensor, ...]]()
    for example in examples:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            half, first = network.organs.half_features(example.image)
            contrast = contrast_to_organs(example.image, network.organs.finish(half, first).float())
            half = torch.cat((half, contrast.to(half.dtype)), 1)
        for place in crop_places(example, rng):
            z, y, x = (slice(part.start // 2, part.stop // 2) for part in place)
            axes = [axis - 3 for axis in range(3) if rng.random() < 0.5]
            whole = (slice(None), slice(None), *place)
            parts = (example.image[whole], half[:, :, z, y, x], first[whole], example.share[place], example.known[place])
            found.append(tuple(part.flip(axes) for part in parts))
    image, inner, outer, share, known = (list(values) for values in zip(*found, strict=True))
    return Crops(torch.cat(image), torch.cat(inner), torch.cat(outer), torch.stack(share), torch.stack(known))


def crop_places(example: Example, rng: np.random.Generator) -> list[Place]:
    """Where the crops of a tile lie: about lesions, anywhere in the body, about what looks like a lesion. Corners are even."""
    image = example.image[0, 0].numpy()
    body, lesions = np.flatnonzero(image > BODY), _lesions(example)
    weights = np.array([weight for _, weight in lesions])
    middles = list[NDArray[np.int64]]()
    for _ in range(CROPS_ABOUT_LESIONS):
        middles.append(lesions[int(rng.choice(len(lesions), p=weights / weights.sum()))][0] if lesions else body)
    middles += [body] * (CROPS - CROPS_ABOUT_LESIONS - 1)
    like = np.flatnonzero(example.classes.numpy() == LOOK_ALIKES[int(rng.integers(len(LOOK_ALIKES)))])
    return [_crop_place(voxels, image.shape, rng) for voxels in (*middles, like if like.size else body)]


def _lesions(example: Example) -> list[tuple[NDArray[np.int64], float]]:
    """The voxels of each lesion of a tile, and how likely a crop is about it: as likely for a small one as for a large one."""
    pieces, _ = label_pieces(example.share.numpy() > 0.5, faces_alone=True)
    found = list[tuple[NDArray[np.int64], float]]()
    for number, box in enumerate(piece_cuts(pieces), start=1):
        inside = pieces[box] == number
        if np.count_nonzero(inside) < LEAST_VOXELS:
            continue
        around = tuple(slice(max(0, part.start - 2), part.stop + 2) for part in box)
        beside = np.bincount(example.classes[around].numpy().ravel().astype(np.int64), minlength=TUMOUR)[1:TUMOUR]
        voxels = np.argwhere(inside) + [part.start for part in box]
        flat = np.ravel_multi_index(tuple(voxels.T), pieces.shape).astype(np.int64)
        found.append((flat, LIVER_WEIGHT if beside.argmax() + 1 == LIVER else 1.0))
    return found


def _crop_place(voxels: NDArray[np.int64], shape: tuple[int, ...], rng: np.random.Generator) -> Place:
    """A crop about one of some voxels, or anywhere where there are none."""
    middle = np.unravel_index(int(rng.choice(voxels)) if voxels.size else int(rng.integers(math.prod(shape))), shape)
    sizes = [min(size, whole) for size, whole in zip(CROP_ZYX, shape, strict=True)]
    starts = [
        int(np.clip(at - size * rng.uniform(0.25, 0.75), 0, whole - size)) // 2 * 2
        for at, size, whole in zip(middle, sizes, shape, strict=True)
    ]
    z, y, x = (slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return z, y, x


def _dice(logit: Tensor, share: Tensor, known: Tensor) -> float:
    """Dice of the tumour, nan where the crops show none."""
    real, mine = (share > 0.5) & (known > 0), (logit > 0) & (known > 0)
    if int(real.sum()) <= LEAST_VOXELS:
        return math.nan
    return 2 * float((mine & real).sum()) / float(real.sum() + mine.sum())


def _examples(config: DistilConfig, pool: Path, first: int) -> Iterator[list[Example]]:
    """The tiles of step `first` and on, drawn ahead on a thread: each is a random patch of the pool with random intensity."""
    with ThreadPoolExecutor(1) as reader:
        number = first * TILES
        waiting = [reader.submit(draw_example, config, pool, number + ahead) for ahead in range(AHEAD)]
        number += AHEAD
        while True:
            yield [waiting.pop(0).result() for _ in range(TILES)]
            waiting += [reader.submit(draw_example, config, pool, number + ahead) for ahead in range(TILES)]
            number += TILES


def draw_example(config: DistilConfig, pool: Path, number: int) -> Example:
    """Example `number`: which patch and how it is varied hang on the number alone."""
    rng = np.random.default_rng([config.seed, number])
    files = pool_files(pool)
    stored = read_patch(files[int(rng.integers(len(files)))])
    tumour = np.where(stored.labels.classes == TUMOUR, stored.labels.shares, 0).sum(0, dtype=np.int64)
    # doubt, not trust, travels through what is cut and blanked: beyond the scan all is surely no tumour
    doubt = FULL - stored.trust.astype(np.int64)
    packed = np.stack([np.zeros_like(tumour), tumour, doubt, stored.labels.classes[0]]).astype(np.float32)
    patch = finished(torch.from_numpy(stored.hu.astype(np.float32)), torch.from_numpy(packed), config, rng)
    _, share, unsure, classes = patch.target
    return Example(patch.image[None, None], share / 255, (unsure < 0.5).float(), classes)
