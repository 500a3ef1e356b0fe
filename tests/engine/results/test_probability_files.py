"""Probability files: what NumPy and pickle read of them is what was kept, in the axes of the model's image reader."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.probabilities import STRAIGHT, Probabilities, StoredAxes
from flare_trt.engine.results.probability_files import write_probabilities

GRID = Grid((5, 7, 9), (2.5, 0.8, 0.7), (1.5, -20.25, 300.0), ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)))
VALUES = np.random.default_rng(2).random((3, *GRID.shape_zyx)).astype(np.float32)


def kept(reader: Reorientation) -> Probabilities:
    found = Probabilities(StoredAxes(GRID, STRAIGHT, GRID.whole, reader), 3, True)
    for z in range(GRID.shape_zyx[0]):
        found.write((z, 0, 0), VALUES[:, z])
    return found


def read(path: Path) -> tuple[np.ndarray, dict[str, object]]:
    with np.load(path) as file:
        assert file.files == ["probabilities"]
        return file["probabilities"], pickle.loads(path.with_suffix(".pkl").read_bytes())  # noqa: S301  # our own file


def test_as_stored(tmp_path: Path) -> None:
    assert write_probabilities(tmp_path / "case.npz", kept(STRAIGHT), "SimpleITKIO") == ()
    found, properties = read(tmp_path / "case.npz")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VALUES)
    assert properties == {
        "spacing": [2.5, 0.8, 0.7],
        "sitk_stuff": {
            "spacing": (0.7, 0.8, 2.5),
            "origin": (1.5, -20.25, 300.0),
            "direction": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
            "original_orientation": "RPI",
        },
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case.npz", "case.pkl"]


def test_turned_as_the_reader_turns(tmp_path: Path) -> None:
    turn = Reorientation.to(GRID, "SAR")
    write_probabilities(tmp_path / "case.npz", kept(turn), "NibabelIOWithReorient")
    found, properties = read(tmp_path / "case.npz")
    np.testing.assert_array_equal(found, np.stack([turn.apply(channel) for channel in VALUES]))
    affines = properties["nibabel_stuff"]
    assert isinstance(affines, dict)
    np.testing.assert_array_equal(affines["original_affine"], GRID.ras_affine)
    np.testing.assert_array_equal(np.diag(affines["reoriented_affine"]), (0.7, 0.8, 2.5, 1))  # RAS


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is not there; make it first"):
        write_probabilities(tmp_path / "none" / "case.npz", kept(STRAIGHT), "")
