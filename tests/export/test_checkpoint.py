"""Checkpoints are read without running anything that is in them."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.checkpoint import load_checkpoint

torch = pytest.importorskip("torch")


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def content(**changes: Any) -> dict[str, Any]:
    """What nnU-Net saves, with all kinds of values that its log and arguments hold."""
    return {
        "network_weights": {"encoder.weight": torch.arange(6.0).reshape(2, 3)},
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01, "betas": (0.9, 0.99)}]},
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.5), np.float32(0.25)],
            "epoch_start_timestamps": [1.5],
            "lrs": [np.float16(1), np.int64(3), np.bool_(True), np.array(2.5, ">f8")[()]],
        },
        "_best_ema": np.float64(0.75),
        "current_epoch": 1000,
        "init_args": {"configuration": "3d_fullres", "fold": 0, "device": torch.device("cuda:0"), "plans": {"a": [1, None]}},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
        **changes,
    }


def saved(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "checkpoint_final.pth"
    torch.save(value, path)
    return path


def test_what_nnunet_saves_is_read(tmp_path: Path) -> None:
    found = load_checkpoint(saved(tmp_path, content()))
    assert (found.configuration, found.trainer, found.mirror_axes) == ("3d_fullres", "nnUNetTrainer", (0, 1, 2))
    assert torch.equal(found.weights["encoder.weight"], torch.arange(6.0).reshape(2, 3))


def test_checkpoint_of_an_older_numpy_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, content())
    rewritten = tmp_path / "old.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(rewritten, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in data
                data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            target.writestr(info, data)
    assert load_checkpoint(rewritten).configuration == "3d_fullres"


@pytest.mark.parametrize("axes", [None, ()])
def test_no_mirror_axes(tmp_path: Path, axes: Any) -> None:
    assert load_checkpoint(saved(tmp_path, content(inference_allowed_mirroring_axes=axes))).mirror_axes == ()
    without = content()
    del without["inference_allowed_mirroring_axes"]
    assert load_checkpoint(saved(tmp_path, without)).mirror_axes == ()


@pytest.mark.parametrize("place", ["network_weights", "logging", "trainer_name"])
def test_a_pickle_bomb_is_refused_and_never_runs(tmp_path: Path, place: str) -> None:
    marker = tmp_path / "ran"
    path = saved(tmp_path, content(**{place: Bomb(marker)}))
    with pytest.raises(ExportError, match=r"holds more than weights and numbers \(.*\), so it was not loaded"):
        load_checkpoint(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the bomb itself has to work, or this test says nothing"


def test_a_bare_pickle_bomb_is_refused_and_never_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "checkpoint_final.pth"
    path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ExportError):
        load_checkpoint(path)
    assert not marker.exists()


def test_numpy_objects_are_refused(tmp_path: Path) -> None:
    for value in (np.array([1.0, 2.0]), np.array(["a", None], object), np.str_("text")):
        with pytest.raises(ExportError, match=r"holds more than weights and numbers"):
            load_checkpoint(saved(tmp_path, content(logging=value)))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip", b"\x80\x02}q\x00.", b"\x80\x05garbage" * 9])
def test_damaged_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "checkpoint_final.pth"
    path.write_bytes(data)
    with pytest.raises(ExportError):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"network_weights": {}}, "network_weights: got something else than named tensors"),
        ({"network_weights": {"a": 3.0}}, "network_weights: got something else than named tensors"),
        ({"network_weights": [1]}, "network_weights: got something else than named tensors"),
        ({"init_args": {}}, "the key 'configuration' is missing"),
        ({"init_args": None}, "the key 'configuration' is missing"),
        ({"trainer_name": 3}, "trainer 3"),
        ({"inference_allowed_mirroring_axes": (0, 7)}, r"mirroring_axes: got \(0, 7\)"),
        ({"inference_allowed_mirroring_axes": 2}, "mirroring_axes: got 2"),
    ],
)
def test_other_dictionaries_are_refused(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(ExportError, match=word):
        load_checkpoint(saved(tmp_path, content(**change)))
    with pytest.raises(ExportError, match=r"the key 'network_weights' is missing"):
        load_checkpoint(saved(tmp_path, {"state_dict": {}}))


def test_what_was_refused_is_named_in_plain_words(tmp_path: Path) -> None:
    """Not in torch's, which colour the terminal and advise to load it all the same."""
    with pytest.raises(ExportError) as error:
        load_checkpoint(saved(tmp_path, content(optimizer_state=np.arange(3.0))))
    words = str(error.value)
    assert "holds more than weights and numbers (numpy._core.multiarray._reconstruct)" in words
    assert words.isprintable()
    assert "option" not in words
    assert "weights_only" not in words
