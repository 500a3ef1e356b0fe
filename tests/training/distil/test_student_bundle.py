from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from flare_trt.engine.base.errors import ExportError, InputError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.training.distil import student_bundle
from flare_trt.training.distil.loop import new_state
from flare_trt.training.distil.network import network_from_onnx
from flare_trt.training.distil.student import Student
from flare_trt.training.distil.student_bundle import export_student, write_student_bundle
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
    assert bundle.spec.provenance.source == "coarse: random weights, unchanged; fine: random weights, unchanged"
    assert len([check for check in bundle.spec.provenance.checks if "kernels rounded" in check.name]) == 2
    tile = np.random.default_rng(0).normal(size=(1, 1, *fine.config.patch_zyx)).astype(np.float32)
    session = open_session("onnxruntime", bundle.network_files(bundle.spec.fine)[0], SessionOptions())
    with torch.no_grad():
        expected = fine.network()(torch.from_numpy(tile))[0].numpy()
    assert 0 < np.abs(session.run(tile) - expected).max() < 5e-3, "kernels rounded to half precision"
    session.close()
    bundle.close()


def test_a_missing_checkpoint_is_an_error(students: tuple[Student, Student], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train the student first"):
        Student(students[0].config, tmp_path / "none.pt").network()


def test_the_kernels_are_stored_in_half(students: tuple[Student, Student], tmp_path: Path) -> None:
    fine = students[1]
    state = new_state(fine.config)
    with torch.no_grad():  # equal vectors would be stored once, under one name
        for weight in state.averaged.parameters():
            weight.add_(torch.rand_like(weight) / 3)
    state.save(tmp_path / "fine.pt")
    export_student(fine, tmp_path / "fine.onnx")
    read_back = network_from_onnx(tmp_path / "fine.onnx", fine.config.network).state_dict()
    for name, weight in fine.network().state_dict().items():
        expected = weight.half().float() if weight.ndim > 1 else weight
        assert torch.equal(read_back[name], expected), name


def test_a_network_that_is_too_large_is_refused(
    students: tuple[Student, Student], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student_bundle, "MOST_BYTES", 1000)
    with pytest.raises(ExportError, match="expected at most 1000"):
        write_student_bundle(*students, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
