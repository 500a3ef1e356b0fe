from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.backends.session import SessionOptions, open_session
from flare_trt.engine.bundle import open_bundle
from flare_trt.engine.errors import InputError
from flare_trt.training.distil.loop import new_state
from flare_trt.training.distil.student_bundle import Student, student_network, write_student_bundle
from tests.training.distil.distil_fixtures import tiny_config


@pytest.fixture
def students(tmp_path: Path) -> tuple[Student, Student]:
    pair = []
    for name, seed in (("coarse", 1), ("fine", 2)):
        config = tiny_config(name=name, seed=seed)
        new_state(config).save(tmp_path / f"{name}.pt")
        pair.append(Student(config, tmp_path / f"{name}.pt"))
    return pair[0], pair[1]


def test_the_bundle_holds_both_students(students: tuple[Student, Student], tmp_path: Path) -> None:
    coarse, fine = students
    write_student_bundle(coarse, fine, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.spec.coarse is not None
    assert bundle.spec.coarse.spacing_mm == coarse.config.spacing_mm
    assert bundle.spec.fine.orientation == "SPL"
    assert [label.value for label in bundle.spec.labels] == list(range(1, 14))
    assert "random weights, distilled for 0 steps" in bundle.spec.provenance.source
    tile = np.random.default_rng(0).normal(size=(1, 1, *fine.config.patch_zyx)).astype(np.float32)
    session = open_session("onnxruntime", bundle.network_files(bundle.spec.fine)[0], SessionOptions())
    with torch.no_grad():
        expected = student_network(fine)(torch.from_numpy(tile))[0].numpy()
    assert np.abs(session.run(tile) - expected).max() < 1e-3
    session.close()
    bundle.close()


def test_a_missing_checkpoint_is_an_error(students: tuple[Student, Student], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train the student first"):
        student_network(Student(students[0].config, tmp_path / "none.pt"))
