"""A whole round on a prepared dataset, with a teacher that knows the phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.training.prepare.cases import find_cases
from flare_trt.training.prepare.inspect_case import inspect_case
from flare_trt.training.prepare.raw_dataset import DatasetNames, LabelledCase, write_datasets
from flare_trt.training.pseudo.gates import GateLimits
from flare_trt.training.pseudo.report import write_report
from flare_trt.training.pseudo.round import RoundPlan, run_round
from flare_trt.training.pseudo.teachers import Reading, Teachers
from tests.training.flare_folder import SHAPE_ZYX, SPACING_MM, FolderSpec, make_flare_folder


class PhantomTeacher:
    """Recognises the phantom by its image and gives its labels, without the kidneys' sides for seed `confused`."""

    name = "phantoms"
    classes = frozenset(range(1, 14))

    def __init__(self, confused: int | None = None) -> None:
        self.read_count = 0
        self._known = {}
        for seed in range(6):
            ct, labels = make_phantom(seed, SHAPE_ZYX, SPACING_MM, PhantomOptions(centre_mm=20.0))
            array = labels.array.copy()
            if seed == confused:
                array[labels.array == 2], array[labels.array == 13] = 13, 2
            self._known[ct.array.tobytes()] = array

    def read(self, ct: Volume) -> Reading:
        self.read_count += 1
        labels = self._known[np.ascontiguousarray(ct.array).tobytes()]
        doubt = np.zeros(labels.shape, bool)
        doubt[0, 0, :3] = True
        return Reading(labels, doubt)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    flare = make_flare_folder(tmp_path / "flare", FolderSpec(("c0",), ("c1", "c2"), ("c3",)))
    cases = {case.name: case for case in find_cases(flare)}
    labelled = [
        LabelledCase(name, case.image, case.label, inspect_case(case).vouched) for name, case in cases.items() if case.label
    ]
    write_datasets(labelled, [cases["c3"]], tmp_path / "raw", DatasetNames(501))
    return tmp_path / "raw/Dataset501_FLAREFine"


def test_a_round_completes_partial_labels_and_labels_the_rest(source: Path) -> None:
    plan = RoundPlan(source, source.parent, DatasetNames(511))
    report = run_round(plan, Teachers(PhantomTeacher()))
    assert all(row["passed"] for row in report["cases"].values()), report
    fine = source.parent / "Dataset511_FLAREFine"
    merged = {name: read_labels(fine / f"labelsTr/{name}.nii.gz").array for name in ("c0", "c1", "c3")}
    original = read_labels(source / "labelsTr/c0.nii.gz").array
    assert np.array_equal(merged["c0"][original > 0], original[original > 0])
    for name in ("c1", "c3"):
        assert set(range(1, 14)) <= set(np.unique(merged[name]))
        assert 14 not in merged[name]
        assert (merged[name][0, 0, :3] == 15).all()
    vouched = json.loads((fine / "vouched.json").read_text())
    assert vouched == {"c0": list(range(1, 15)), "c1": list(range(1, 14)), "c2": list(range(1, 14)), "c3": list(range(1, 14))}
    assert 14 not in (read_labels(source.parent / "Dataset512_FLARECoarse/labelsTr/c0.nii.gz").array[original == 14])


def test_a_case_that_fails_keeps_its_expert_or_is_left_out(source: Path) -> None:
    plan = RoundPlan(source, source.parent, DatasetNames(511), GateLimits(least_dice=0.4))
    report = run_round(plan, Teachers(PhantomTeacher(confused=1)))
    assert report["not_taken"] == [], "the kidneys are right in one of two cases"
    assert not report["cases"]["c1"]["passed"]
    assert "right kidney: Dice 0.00 with expert" in report["cases"]["c1"]["findings"][0]
    fine = source.parent / "Dataset511_FLAREFine"
    kept, original = (read_labels(folder / "labelsTr/c1.nii.gz").array for folder in (fine, source))
    assert np.array_equal(kept, original)
    assert json.loads((fine / "vouched.json").read_text())["c1"] == [1, 2, 13]
    write_report(report, fine, plan.work, pictures=2)
    page = (fine / "pseudo_labels.md").read_text()
    assert "4 cases, 3 passed, 1 failed." in page
    assert (fine / "pseudo_c1.png").read_bytes().startswith(b"\x89PNG")


def test_a_class_that_the_teacher_does_not_find_is_not_taken_from_it(source: Path) -> None:
    plan = RoundPlan(source, source.parent, DatasetNames(511))
    report = run_round(plan, Teachers(PhantomTeacher(confused=1)))
    assert report["not_taken"] == ["right kidney", "left kidney"]
    assert report["class_dice"]["liver"] > 0.98
    assert 0.3 < report["class_dice"]["left kidney"] < 0.7
    fine = source.parent / "Dataset511_FLAREFine"
    vouched = json.loads((fine / "vouched.json").read_text())
    assert vouched["c1"] == list(range(1, 14)), "the expert drew kidneys"
    assert vouched["c3"] == [1, *range(3, 13)]
    truth = make_phantom(3, SHAPE_ZYX, SPACING_MM, PhantomOptions(centre_mm=20.0))[1].array
    merged = read_labels(fine / "labelsTr/c3.nii.gz").array
    kidneys = (truth == 2) | (truth == 13)
    assert kidneys.any()
    assert (merged[kidneys] == 15).all(), "nothing is known there"
    write_report(report, fine, plan.work, pictures=0)
    assert "Not taken from the teacher, being too low: right kidney, left kidney." in (fine / "pseudo_labels.md").read_text()


def test_a_second_round_is_compared_with_the_first_and_starts_from_the_experts(source: Path) -> None:
    run_round(RoundPlan(source, source.parent, DatasetNames(511)), Teachers(PhantomTeacher()))
    before = source.parent / "Dataset511_FLAREFine"
    report = run_round(RoundPlan(source, source.parent, DatasetNames(521), before=before), Teachers(PhantomTeacher(confused=3)))
    assert "with the round before" in report["cases"]["c3"]["findings"][0]
    unlabelled = source.parent / "Dataset521_FLAREFine/imagesUnlabeled"
    assert [file.name for file in unlabelled.iterdir()] == ["c3_0000.nii.gz"]


def test_a_stopped_round_goes_on_where_it_was(source: Path) -> None:
    plan, teacher = RoundPlan(source, source.parent, DatasetNames(511)), PhantomTeacher()
    teacher._known.pop(next(reversed([key for index, key in enumerate(teacher._known) if index == 3])))
    with pytest.raises(KeyError):
        run_round(plan, Teachers(teacher))
    assert teacher.read_count == 4
    assert not (source.parent / "Dataset511_FLAREFine").exists()
    again = PhantomTeacher()
    run_round(plan, Teachers(again))
    assert again.read_count == 1


def test_tumour_comes_from_a_tumour_teacher(source: Path) -> None:
    class TumourTeacher(PhantomTeacher):
        name = "tumours"
        classes = frozenset({14})

        def read(self, ct: Volume) -> Reading:
            reading = super().read(ct)
            marked = np.zeros_like(reading.labels)
            z, y, x = (int(v) for v in np.argwhere(reading.labels == 3).mean(0))
            marked[z, y, x] = 14
            if np.array_equal(ct.array, first):
                marked[drawn] = 14
            return Reading(marked, reading.doubt)

    first = read_ct(source / "imagesTr/c0_0000.nii.gz").array
    drawn = read_labels(source / "labelsTr/c0.nii.gz").array == 14
    run_round(RoundPlan(source, source.parent, DatasetNames(511)), Teachers(PhantomTeacher(), TumourTeacher()))
    fine = source.parent / "Dataset511_FLAREFine/labelsTr"
    assert (read_labels(fine / "c3.nii.gz").array == 14).sum() == 1
    assert np.array_equal(read_labels(fine / "c0.nii.gz").array == 14, read_labels(source / "labelsTr/c0.nii.gz").array == 14), (
        "an expert's tumour needs no teacher"
    )


def test_tumour_of_a_teacher_that_finds_none_is_not_taken(source: Path) -> None:
    class Blind(PhantomTeacher):
        classes = frozenset(range(1, 15))

    teacher = Blind()
    report = run_round(RoundPlan(source, source.parent, DatasetNames(511)), Teachers(teacher, teacher))
    assert (report["not_taken"], report["class_dice"]["tumour"]) == (["tumour"], 0.0)
    vouched = json.loads((source.parent / "Dataset511_FLAREFine/vouched.json").read_text())
    assert [14 in classes for classes in vouched.values()] == [True, False, False, False]
    assert all(row["passed"] for row in report["cases"].values()), "what is not taken is not compared either"


def test_a_dataset_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no vouched\.json, expected a fine dataset"):
        run_round(RoundPlan(tmp_path, tmp_path, DatasetNames(511)), Teachers(PhantomTeacher()))
