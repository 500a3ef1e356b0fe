"""A few minutes of training on random patches: enough for labels that look like organs and have contested borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEARNING_RATE = 1e-2
Case = tuple[NDArray[np.float32], NDArray[np.int64]]  # normalised image and labels, both (z, y, x)


def train(
    network: Any, cases: list[Case], patch: tuple[int, ...], loss_of: Callable[[Any, Any], Any], steps: int, seed: int
) -> None:
    """Fit a torch network in place with AdamW on pairs of patches, most of them centred on a foreground class."""
    import torch

    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps, pct_start=0.1)
    padded = [_padded(case, patch) for case in cases]
    network.train()
    for step in range(steps):
        images, labels = zip(*(_patch(padded[rng.integers(len(padded))], patch, rng) for _ in range(2)), strict=True)
        loss = loss_of(network(torch.from_numpy(np.stack(images)[:, None])), torch.from_numpy(np.stack(labels)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    network.eval()


def label_loss(cases: list[Case], count: int) -> Callable[[Any, Any], Any]:
    """Cross-entropy, rare classes weighted up, plus soft Dice over the foreground classes."""
    import torch
    from torch.nn import functional

    shares = np.array([_share(cases, [value]) for value in range(count)])
    weights = torch.tensor(shares**-0.5 / (shares**-0.5).mean(), dtype=torch.float32)

    def loss(logits: Any, labels: Any) -> Any:
        wanted = functional.one_hot(labels, count).movedim(-1, 1).float()
        entropy = functional.cross_entropy(logits, labels, weight=weights)
        return entropy + _dice_loss(torch.softmax(logits, 1)[:, 1:], wanted[:, 1:])

    return loss


def region_loss(cases: list[Case], regions: list[list[int]]) -> Callable[[Any, Any], Any]:
    """Binary cross-entropy, rare regions weighted up, plus soft Dice of overlapping regions, each a list of label values."""
    import torch
    from torch.nn import functional

    weights = torch.tensor([_share(cases, values) ** -0.5 for values in regions], dtype=torch.float32).reshape(-1, 1, 1, 1)

    def loss(logits: Any, labels: Any) -> Any:
        wanted = torch.stack([torch.isin(labels, torch.tensor(values)) for values in regions], 1).float()
        entropy = functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights)
        return entropy + _dice_loss(torch.sigmoid(logits), wanted)

    return loss


def _share(cases: list[Case], values: list[int]) -> float:
    """Share of all voxels that have one of these labels."""
    return float(sum(np.isin(labels, values).sum() for _, labels in cases) / sum(labels.size for _, labels in cases))


def _dice_loss(found: Any, wanted: Any) -> Any:
    axes = (0, 2, 3, 4)
    overlap = (found * wanted).sum(axes)
    return 1 - ((2 * overlap + 1) / (found.sum(axes) + wanted.sum(axes) + 1)).mean()


def _padded(case: Case, patch: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64], list[NDArray[np.int64]]]:
    """The case, at least as large as a patch, with the voxels of each class that it holds."""
    image, labels = case
    widths = [(0, max(0, p - n)) for p, n in zip(patch, image.shape, strict=True)]
    image, labels = np.pad(image, widths), np.pad(labels, widths)
    return image, labels, [np.argwhere(labels == value) for value in np.unique(labels)]


def _patch(case: Any, patch: tuple[int, ...], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    image, labels, places = case
    centres = places[rng.integers(len(places))]
    centre = centres[rng.integers(len(centres))] + rng.integers(-8, 9, 3)
    start = [int(np.clip(c - p // 2, 0, n - p)) for c, p, n in zip(centre, patch, image.shape, strict=True)]
    place = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
    intensity = (rng.uniform(0.9, 1.1), rng.uniform(-0.1, 0.1))
    return (image[place] * intensity[0] + intensity[1]).astype(np.float32), labels[place].astype(np.int64)
