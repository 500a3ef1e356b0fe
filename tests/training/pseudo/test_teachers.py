from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.segmenter import Segmenter
from flare_trt.training.distil.loop import new_state
from flare_trt.training.distil.student import Student
from flare_trt.training.distil.student_bundle import write_student_bundle
from flare_trt.training.pseudo.doubt import DoubtLimits
from flare_trt.training.pseudo.teachers import BundleTeacher
from tests.training.distil.distil_fixtures import tiny_config

ON_CPU = RunOptions(device="cpu")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two untrained students, whose labels are nonsense, but the same nonsense each time."""
    folder = tmp_path_factory.mktemp("teacher")
    students = []
    for name in ("coarse", "fine"):
        config = replace(tiny_config(name=name), seed=len(name) + 1)
        new_state(config).save(folder / f"{name}.pt")
        students.append(Student(config, folder / f"{name}.pt"))
    write_student_bundle(students[0], students[1], folder / "bundle")
    return folder / "bundle"


def test_labels_are_the_segmenter_s_and_doubt_lies_about_them(bundle: Path) -> None:
    ct, _ = make_phantom(3, (23, 31, 37), (14.0, 12.0, 11.0), PhantomOptions(centre_mm=20.0))
    with Segmenter.open(bundle, ON_CPU) as segmenter:
        expected = segmenter.segment(ct).labels.array
    teacher = BundleTeacher(bundle, DoubtLimits(), ON_CPU)
    reading = teacher.read(ct)
    assert teacher.classes == frozenset(range(1, 14))
    assert np.array_equal(reading.labels, expected)
    assert reading.labels.any()
    assert reading.doubt.any(), "an untrained network is sure of nothing"
    assert reading.soft is not None
    assert reading.box is not None
    outside = np.ones(ct.array.shape, bool)
    outside[reading.box.slices] = False
    assert not reading.doubt[outside].any()
    assert not BundleTeacher(bundle, DoubtLimits(0.0, 1.1), ON_CPU).read(ct).doubt.any()


def test_a_scan_stored_upside_down_is_doubted_at_the_same_places(bundle: Path) -> None:
    ct, _ = make_phantom(3, (23, 31, 37), (14.0, 12.0, 11.0), PhantomOptions(centre_mm=20.0))
    turned = Grid(ct.grid.shape_zyx, ct.grid.spacing_mm, (0.0, 0.0, 22 * 14.0), ((1, 0, 0), (0, 1, 0), (0, 0, -1)))
    flipped = Volume(np.ascontiguousarray(ct.array[::-1]), turned)
    teacher = BundleTeacher(bundle, DoubtLimits(), ON_CPU)
    assert (teacher.read(flipped).doubt[::-1] == teacher.read(ct).doubt).mean() > 0.999


def test_mirroring_needs_a_model_that_was_trained_so(bundle: Path) -> None:
    with pytest.raises(InputError, match="trained without mirroring"):
        BundleTeacher(bundle, DoubtLimits(), ON_CPU, mirrored=True)
