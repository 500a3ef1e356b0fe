"""Fits the classifier of voxels to samples: seconds, where the same by convolutions from nothing was not learnt in hours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flare_trt.engine.base.errors import InputError
from flare_trt.training.tumours.network import CLASSIFIER_SLOPE, TumourUNet, VoxelClassifier
from flare_trt.training.tumours.samples import Samples

#: Passes over the samples, voxels of an update, the rate that falls to nothing, how strongly weights are held small. More passes
#: learn the tiles by heart: on others the Dice falls after three.
PASSES, BATCH, RATE, WEIGHT_DECAY = 4, 2048, 2e-3, 2e-2
#: Fewer updates learn nothing, however few the samples; updates until the full rate; noise added to features of unit variance.
LEAST_UPDATES, WARM_UP, NOISE = 1000, 50, 0.05
#: Of ten tiles the last is not fitted to, but asked.
ASKED = 10


@dataclass(frozen=True)
class Fit:
    """Dice, sensitivity and precision among samples of tiles that were not fitted to."""

    dice: float
    sensitivity: float
    precision: float


def fit_classifier(network: TumourUNet, samples: Samples, seed: int) -> Fit:
    """Fit the network's classifier, in place. Raises InputError where no sample is tumour."""
    tumour = samples.share > 0.5
    if not tumour.any() or tumour.all():
        raise InputError("fit: got samples of one kind only, expected voxels with and without tumour; draw more patches")
    torch.manual_seed(seed)
    asked = samples.tile % ASKED == ASKED - 1
    fitted = torch.nonzero(~asked)[:, 0]
    mean, deviation = _spread(samples.features[fitted])
    layers = _layers(network.classifier)
    _learn(layers, samples, fitted, (mean, deviation), network.not_hosts.device)
    _take_over(network.classifier, layers, mean, deviation)
    with torch.no_grad():
        said = [layers((rows.float() - mean) / deviation)[:, 0] > 0 for rows in samples.features[asked].split(1 << 16)]
    return _fit(torch.cat(said) if said else tumour[asked], tumour[asked])


def _spread(features: Tensor) -> tuple[Tensor, Tensor]:
    some = features[::5].float()
    return some.mean(0), some.std(0) + 1e-3


def _layers(classifier: VoxelClassifier) -> nn.Sequential:
    wide, narrow = classifier.hidden.in_channels, classifier.hidden.out_channels
    wanted = sum(layer.in_channels for layer in classifier.inputs if isinstance(layer, nn.Conv3d))
    layers = (nn.Linear(wanted, wide), nn.LeakyReLU(CLASSIFIER_SLOPE), nn.Linear(wide, narrow), nn.LeakyReLU(CLASSIFIER_SLOPE))
    return nn.Sequential(*layers, nn.Linear(narrow, 1))


def _learn(layers: nn.Sequential, samples: Samples, fitted: Tensor, spread: tuple[Tensor, Tensor], device: torch.device) -> None:
    """Learn on `device`; the layers end where they began, on the CPU."""
    mean, deviation = (value.to(device) for value in spread)
    layers.to(device)
    optimizer = torch.optim.AdamW(layers.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    passes = max(PASSES, math.ceil(LEAST_UPDATES * BATCH / len(fitted)))
    batches = [batch for _ in range(passes) for batch in fitted[torch.randperm(len(fitted))].split(BATCH)]
    for step, batch in enumerate(batches):
        rate = RATE * min(1, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / len(batches)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = (samples.features[batch].to(device).float() - mean) / deviation
        said = layers(rows + NOISE * torch.randn_like(rows))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(said, samples.share[batch].to(device).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layers.cpu()


def _take_over(classifier: VoxelClassifier, layers: nn.Sequential, mean: Tensor, deviation: Tensor) -> None:
    """The fitted layers as convolutions of 1^3, mean and deviation of the features in the first."""
    weight = layers[0].weight.detach() / deviation
    with torch.no_grad():
        start = 0
        for layer in classifier.inputs:
            stop = start + layer.weight.shape[1]
            layer.weight.copy_(weight[:, start:stop, None, None, None])
            start = stop
        classifier.inputs[0].bias.copy_(layers[0].bias - weight @ mean)
        for layer, linear in ((classifier.hidden, layers[2]), (classifier.out, layers[4])):
            layer.weight.copy_(linear.weight[:, :, None, None, None])
            layer.bias.copy_(linear.bias)


def _fit(said: Tensor, tumour: Tensor) -> Fit:
    right, marked, real = (int(value.sum()) for value in (said & tumour, said, tumour))
    return Fit(2 * right / max(1, marked + real), right / max(1, real), right / max(1, marked))
