from __future__ import annotations

import numpy as np

from flare_trt.training.prepare.coarse_labels import FINE_IGNORE
from flare_trt.training.pseudo.merge import Expert, merge_labels, vouched_after

#: One voxel a rule: expert, teacher, tumour teacher, doubt.
EXPERT = np.array([[[1, 0, 0, 0, 0, 1, 1, 0, 0]]], np.uint8)
TEACHER = np.array([[[3, 3, 1, 0, 3, 1, 3, 14, 0]]], np.uint8)
TUMOUR = np.array([[[0, 0, 0, 1, 0, 1, 0, 0, 0]]], bool)
DOUBT = np.array([[[0, 0, 0, 0, 1, 0, 1, 0, 1]]], bool)
LIVER_ONLY = Expert(EXPERT, frozenset({1}))


def test_each_rule() -> None:
    got = merge_labels(LIVER_ONLY, TEACHER, TUMOUR, DOUBT)[0, 0].tolist()
    assert got == [
        1,  # an expert's organ stands
        3,  # the teacher fills what the case does not vouch for
        FINE_IGNORE,  # the teacher's liver where the expert drew none
        14,  # a tumour teacher's tumour outside of any expert's organ
        FINE_IGNORE,  # doubt
        FINE_IGNORE,  # a tumour teacher's claim inside an expert's organ
        1,  # an expert's organ stands in spite of doubt
        0,  # tumour of a teacher that is no tumour teacher
        FINE_IGNORE,  # doubtful background
    ]


def test_an_expert_s_tumour_needs_no_teacher() -> None:
    labels = EXPERT.copy()
    labels[0, 0, 7] = 14
    got = merge_labels(Expert(labels, frozenset({1, 14})), TEACHER, TUMOUR, np.zeros_like(DOUBT))
    assert got[0, 0].tolist() == [1, 3, FINE_IGNORE, 0, 3, 1, 1, 14, 0]


def test_without_an_expert_the_teacher_speaks_and_without_tumour_teacher_none_is_marked() -> None:
    silent = Expert.silent(TEACHER.shape)
    got = merge_labels(silent, TEACHER, None, np.zeros_like(DOUBT))
    assert got[0, 0].tolist() == [3, 3, 1, 0, 3, 1, 3, 0, 0]
    marked = merge_labels(silent, TEACHER, TUMOUR, np.zeros_like(DOUBT))
    assert marked[0, 0].tolist() == [3, 3, 1, 14, 3, 14, 3, 0, 0]


def test_what_the_result_vouches_for() -> None:
    assert vouched_after(LIVER_ONLY, {1, 2}) == (1, 2)
    assert vouched_after(LIVER_ONLY, {2, 3, 14}) == (1, 2, 3, 14)


def test_arguments_are_left_alone() -> None:
    before = TEACHER.copy()
    merge_labels(LIVER_ONLY, TEACHER, TUMOUR, DOUBT)
    assert np.array_equal(TEACHER, before)
