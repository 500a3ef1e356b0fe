"""Voxels that the classifier is fitted to, and the fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.tumours.examples import FromPool
from flare_trt.training.tumours.fit import fit_classifier
from flare_trt.training.tumours.measures import measures
from flare_trt.training.tumours.network import MEASURES, TumourConfig, TumourUNet, organs_of_bundle
from flare_trt.training.tumours.samples import Samples, gather, half_target
from tests.training.tumours.tumour_fixtures import tumour_config

SMALL = TumourConfig(NetworkConfig(), classifier=(16, 8), branch=(8, 16))
FEATURES = MEASURES + 32 + 64 + 128


def some_samples(count: int = 30_000) -> Samples:
    """Tumour is where one feature of odd size and mean is higher than another, of a coarser level."""
    features = torch.randn((count, FEATURES), generator=torch.Generator().manual_seed(0))
    share = (features[:, 3] - features[:, 150] > 0.8).float()
    features[:, 3] = features[:, 3] * 40 + 100
    return Samples(features.half(), share, torch.arange(count) % 20)


def test_the_network_says_what_was_fitted() -> None:
    """Of tiles that were not fitted to, voxel by voxel through the network's own convolutions."""
    network, samples = TumourUNet(SMALL), some_samples()
    fit = fit_classifier(network, samples, seed=0)
    assert fit.dice > 0.85
    asked = samples.tile % 10 == 9
    rows, share = samples.features[asked].float(), samples.share[asked]
    parts = [part.T[None, :, :, None, None] for part in rows.split((MEASURES + 32, 64, 128), 1)]
    logits = []
    with torch.no_grad():
        for voxel in range(300):
            logits.append(
                network.classifier([part[:, :, voxel : voxel + 1].expand(-1, -1, *3 * (4 >> n,)) for n, part in enumerate(parts)])[
                    0
                ]
            )
    said = torch.stack([logit[0, 0, 0, 0, 0] for logit in logits]) > 0
    assert float((said == (share[:300] > 0.5)).float().mean()) > 0.85


def test_samples_of_one_kind_are_refused() -> None:
    samples = some_samples(100)
    for share in (torch.zeros(100), torch.ones(100)):
        with pytest.raises(InputError, match="draw more patches"):
            fit_classifier(TumourUNet(SMALL), Samples(samples.features, share, samples.tile), 0)


def test_a_sample_is_what_the_classifier_reads_at_its_voxel(pool: Path) -> None:
    config, network = tumour_config(), TumourUNet(SMALL).eval()
    network.organs.load_state_dict(organs_of_bundle(default_model(), SMALL.organs).state_dict())
    examples = FromPool(config, pool)
    drawn = (examples.example(number) for number in range(40))
    example = next(example for example in drawn if float(example.share[example.known].sum()) > 400)
    samples = gather(network, [example], np.random.default_rng(0))
    assert samples.features.shape == (len(samples.share), FEATURES)
    assert bool((samples.share > 0.5).any())
    assert bool((samples.share == 0).any())
    with torch.no_grad():
        measured = measures(example.image, network.organs(example.image))[0].flatten(1).half()
    share, known = half_target(example)
    tissue = samples.features[:, 0]
    for row in range(0, len(tissue), 97):
        same = (measured[0] == tissue[row]) & known.flatten() & (share.flatten() == samples.share[row])
        assert any(
            torch.allclose(measured[:, voxel], samples.features[row, :MEASURES], atol=2e-2) for voxel in torch.nonzero(same)[:, 0]
        )
