from __future__ import annotations

import fcntl
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import MixConfig, ScheduleConfig
from flare_trt.training.distil.loop import learning_rate, new_state, read_log, train, train_step
from tests.training.distil.distil_fixtures import phantom_view, tiny_config


def weights(state) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in state.network.parameters()])


def test_a_resumed_run_equals_one_that_was_never_stopped(tmp_path: Path) -> None:
    views, config = [phantom_view()], tiny_config()
    whole = train(config, views, tmp_path_of(tmp_path, "whole"))
    folder = tmp_path_of(tmp_path, "parts")
    half = replace(config.schedule, steps=4)
    stopped = new_state(config)
    for _ in range(2):
        train_step(stopped, views, replace(config, schedule=half))
    stopped.save(folder / "last.pt")
    resumed = train(config, views, folder)
    assert resumed.step == whole.step == 4
    assert torch.equal(weights(resumed), weights(whole))
    lines = list(read_log(tmp_path / "whole"))
    assert [line["step"] for line in lines] == [2, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert not list((tmp_path / "whole").glob("*.part"))


def test_a_run_stops_in_time_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    state = train(tiny_config(), [phantom_view()], tmp_path, stop_at=time.monotonic() - 1)
    assert state.step == 0
    assert (tmp_path / "last.pt").exists()


def test_the_student_learns(tmp_path: Path) -> None:
    mix = MixConfig(phantom=0, extended=0, short=0, circle=0, intensity=0)
    schedule = ScheduleConfig(steps=60, learning_rate=2e-2, warmup_steps=4, log_every=10, validate_every=1000)
    train(tiny_config(mix=mix, schedule=schedule), [phantom_view()], tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.75 * losses[0]


def test_validation_is_logged_and_the_best_kept(tmp_path: Path) -> None:
    schedule = ScheduleConfig(steps=1, learning_rate=1e-3, log_every=1, validate_every=1)
    train(tiny_config(schedule=schedule), [phantom_view()], tmp_path)
    last = list(read_log(tmp_path))[-1]
    assert 0 <= last["dice phantom"] <= 1
    assert last["head ml"] >= 0
    assert (tmp_path / "best.pt").exists()


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no teacher views"):
        train(tiny_config(), [], tmp_path)


def test_two_processes_never_train_in_one_folder(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process trains here"):
            train(tiny_config(), [phantom_view()], tmp_path)
    assert train(tiny_config(), [phantom_view()], tmp_path).step == 4


def test_the_learning_rate_rises_then_falls() -> None:
    schedule = ScheduleConfig(steps=100, learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.02
    assert rates[10:] == sorted(rates[10:], reverse=True)


def tmp_path_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder
