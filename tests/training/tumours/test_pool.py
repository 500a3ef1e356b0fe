"""Examples that are kept with the organs found in them, and what is no such example."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.tumours.draw import NamedView
from flare_trt.training.tumours.examples import example_of
from flare_trt.training.tumours.measures import shares_of
from flare_trt.training.tumours.network import organs_of_bundle
from flare_trt.training.tumours.organs import organs_found
from flare_trt.training.tumours.patch import drawn_patch
from flare_trt.training.tumours.pool import FromPool, Pool, read_example
from tests.training.tumours.tumour_fixtures import abdomen_view, organs_by_value, tumour_config


def views() -> list[NamedView]:
    return [abdomen_view(), abdomen_view("crlm_1004")]


def test_the_pool_replaces_its_oldest_examples(pool: Pool, tmp_path: Path) -> None:
    assert [file.name for file in pool.files()] == [f"{slot:05d}.npz" for slot in range(4)]
    again = Pool(tmp_path / "again")
    again.fill(views(), tumour_config(), organs_by_value, range(4, 6), 4)
    for slot in (0, 1):
        one, other = read_example(pool.files()[slot]), read_example(again.folder / f"{slot:05d}.npz")
        for field in fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_an_example_comes_back_as_it_was_drawn_to_the_hu(pool: Pool) -> None:
    config = tumour_config()
    intensity, seen = config.teacher.intensity, 0
    for number in range(2, 6):
        rng = np.random.default_rng([config.seed, number])
        drawn = example_of(drawn_patch(views(), config, number), config, rng)
        kept = read_example(pool.files()[number % 4]).example(intensity)
        torch.testing.assert_close(kept.image, drawn.image, atol=0.51 / intensity.std_hu, rtol=0)
        torch.testing.assert_close(kept.share, drawn.share, atol=0.5 / 255 + 1e-6, rtol=0)
        assert bool((kept.image[drawn.image == 0] == 0).all())
        for name in ("known", "classes", "lesions"):
            assert torch.equal(getattr(kept, name), getattr(drawn, name))
        assert kept.organs is not None
        torch.testing.assert_close(kept.organs, organs_by_value(drawn.image), atol=0.5 / 255 + 1e-6, rtol=0)
        seen += bool(drawn.lesions.any())
    assert seen


def test_which_example_it_is_hangs_on_the_number(pool: Pool) -> None:
    examples = FromPool(tumour_config(), pool)
    first, again = examples.example(5), next(examples(2))[1]
    assert torch.equal(first.image, again.image)
    assert len({float(examples.example(number).image.mean()) for number in range(20)}) == 4


def test_an_empty_pool_and_what_is_no_example_are_refused(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fill the pool first"):
        next(FromPool(tumour_config(), Pool(tmp_path))(0))
    whole = pool.files()[0].read_bytes()
    with np.load(pool.files()[0]) as found:
        np.savez(tmp_path / "older.npz", hu=found["hu"], labels=found["classes"], trust=found["tumour"])
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("older", "cut", "empty", "none"):
        with pytest.raises(InputError, match=rf"{name}\.npz: got .*; fill the pool anew"):
            read_example(tmp_path / f"{name}.npz")


def test_organs_are_those_of_the_bundle_s_network() -> None:
    config = replace(tumour_config(), train_patch_zyx=(96, 160, 160))
    image = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (1, 1, *config.train_patch_zyx)).astype(np.float32))
    with organs_found(default_model(), 2) as organs, torch.no_grad():
        ours = organs(image)
        theirs = shares_of(organs_of_bundle(default_model(), config.network)(image))[0]
        assert ours.shape == (14, 48, 80, 80)
        assert float((ours - theirs).abs().mean()) < 2e-3
        assert float(ours.sum(0).sub(1).abs().max()) < 1e-3
        with pytest.raises(InputError, match=r"got patches of \(96, 160, 176\), expected \(96, 160, 160\)"):
            organs(torch.zeros(1, 1, 96, 160, 176))
