"""The file that a training on a GPU takes along, and that training itself on a CPU, with PyTorch and NumPy alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.default_model import default_model
from flare_trt.training.distil.config import ScheduleConfig
from flare_trt.training.distil.loop import read_log
from flare_trt.training.tumours import prepared as prepared_module
from flare_trt.training.tumours.bundle import TrainedTumours
from flare_trt.training.tumours.examples import TILES, Drawn
from flare_trt.training.tumours.loop import Pace, train
from flare_trt.training.tumours.network import organs_of_bundle
from flare_trt.training.tumours.prepared import CODE_HU, Prepared, codes_of, read_prepared, write_prepared
from tests.training.tumours.tumour_fixtures import abdomen_view, tumour_config

#: PyTorch, NumPy and what they need.
ALONE = (
    *("torch", "torchgen", "functorch", "typing_extensions.py", "sympy", "mpmath", "jinja2", "markupsafe", "filelock", "fsspec"),
    *("networkx", "numpy", "numpy.libs"),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tumour_config(schedule=ScheduleConfig(steps=4, learning_rate=1e-3, warmup_steps=1, log_every=1, validate_every=9))
    organs = organs_of_bundle(default_model(), config.network)
    path = tmp_path_factory.mktemp("prepared") / "tumours.npz"
    write_prepared(Prepared(config, [abdomen_view(), abdomen_view("crlm_1004")], organs), path)
    return path


def test_the_file_gives_back_views_network_and_configuration(file: Path) -> None:
    found, view = read_prepared(file), abdomen_view().view
    assert found.config == replace(tumour_config(), schedule=found.config.schedule)
    assert [named.ct for named in found.views] == ["lidc_0002", "crlm_1004"]
    assert found.views[0].view.spacing_mm == view.spacing_mm
    np.testing.assert_array_equal(found.views[0].view.labels.classes[0], view.labels.classes[0])
    soft = (view.image_hu > -160) & (view.image_hu < 238)
    assert np.abs(found.views[0].view.image_hu.astype(int) - view.image_hu)[soft].max() <= 1
    organs = organs_of_bundle(default_model(), found.config.network).state_dict()
    for name, weight in found.organs.state_dict().items():
        torch.testing.assert_close(weight, organs[name], atol=0, rtol=0)


def test_a_code_is_that_of_the_nearest_hu() -> None:
    hu = np.random.default_rng(0).integers(-2500, 4500, (7, 9, 11)).astype(np.int16)
    nearest = np.abs(CODE_HU[codes_of(hu)] - hu)
    np.testing.assert_array_equal(nearest, np.abs(CODE_HU - hu[..., None].astype(np.float32)).min(-1))
    assert len(CODE_HU) == 256


def test_a_file_that_is_too_large_or_none_is_named(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_module, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="take fewer views"):
        write_prepared(read_prepared(file), tmp_path / "large.npz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "cut.npz").write_bytes(file.read_bytes()[:5000])
    for name in ("cut.npz", "none.npz"):
        with pytest.raises(InputError, match=rf"{name}.*train tumours prepare"):
            read_prepared(tmp_path / name)


def test_examples_hang_on_their_number_whoever_draws_them(file: Path) -> None:
    found = read_prepared(file)
    here, beside = (Drawn(found.config, found.views, workers)(0) for workers in (0, 2))
    first = [next(here), next(here)][1]
    again, skipped = [next(beside), next(beside)][1], next(Drawn(found.config, found.views, 0)(1))
    assert len(first) == TILES
    for one, two, three in zip(first, again, skipped, strict=True):
        assert torch.equal(one.image, two.image)
        assert torch.equal(one.image, three.image)
        assert torch.equal(one.lesions, two.lesions)
    assert any(bool(example.lesions.any()) for example in first)


def test_a_schedule_of_seconds_ends_when_they_are_over(file: Path, tmp_path: Path) -> None:
    found = read_prepared(file)
    state = train(found.config, found.organs, Drawn(found.config, found.views, 0), tmp_path, Pace(finish_s=1e-6))
    assert state.step == 1  # its first step is the first of the schedule, the second lies behind its end
    assert Pace(finish_s=10.0).step_of(replace(state, seconds=5.0), 4) == 2
    assert Pace().step_of(replace(state, seconds=5.0), 4) == 1


def test_the_training_runs_with_pytorch_and_numpy_alone(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "path"
    path.mkdir()
    for name in ALONE:
        (path / name).symlink_to(Path(torch.__file__).parents[1] / name)
    (path / "flare_trt").symlink_to(Path(prepared_module.__file__).resolve().parents[2])
    command = [sys.executable, "-S", "-m", "flare_trt.engine", "train", "tumours", "train-prepared", str(file)]
    words = ["--run", str(tmp_path / "run"), "--device", "cpu", "--workers", "1", "--finish-in", "0.1"]
    subprocess.run([*command, *words], check=True, timeout=300, env={**os.environ, "PYTHONPATH": str(path)})
    lines = read_log(tmp_path / "run")
    assert lines
    assert all(np.isfinite(line["loss"]) for line in lines)
    trained = TrainedTumours(replace(tumour_config(), patch_zyx=(16, 32, 32)), [tmp_path / "run" / "last.pt"])
    assert trained.branch().steps >= 1
    assert isinstance(trained.network(), torch.nn.Module)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_learns_from_the_same_examples(file: Path, tmp_path: Path) -> None:
    found = read_prepared(file)
    state = train(found.config, found.organs, Drawn(found.config, found.views, 2), tmp_path, Pace("cuda"))
    assert state.step == found.config.schedule.steps
    assert all(np.isfinite(line["loss"]) for line in read_log(tmp_path))
    assert TrainedTumours(replace(tumour_config(), patch_zyx=(16, 32, 32)), [tmp_path / "last.pt"]).branch().steps == state.step


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_missing_is_named(file: Path, tmp_path: Path) -> None:
    from flare_trt.engine.apps.cli import main

    words = ["train", "tumours", "train-prepared", str(file), "--run", str(tmp_path / "run"), "--finish-in", "1"]
    assert main(words) == 1
    assert not (tmp_path / "run").exists()
