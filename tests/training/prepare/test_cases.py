from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.organs import ORGANS
from flare_trt.training.prepare.cases import find_cases
from flare_trt.training.prepare.coarse_labels import without_tumour
from flare_trt.training.prepare.splits import split_cases
from flare_trt.training.prepare.vouching import vouched_classes


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_images_and_labels_are_paired_and_the_rest_is_unlabelled(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr2200/a_0000.nii.gz", "labelsTr2200/a.nii.gz", "x/unlabeledTr1800/b_0000.nii.gz", "notes/c.nii.gz")
    a, b = find_cases(tmp_path)
    assert (a.name, a.label) == ("a", tmp_path / "labelsTr2200/a.nii.gz")
    assert (b.name, b.label) == ("b", None)


def test_names_in_capitals_are_cases_and_hidden_files_are_none(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/A_0000.NII.GZ", "imagesTr/b_0000.nii", "labelsTr/A.nii.gz", "labelsTr/b.Nii", "unlabeled/c.NII")
    touch(tmp_path, "imagesTr/._A_0000.NII.GZ", "labelsTr/._A.nii.gz", "__MACOSX/imagesTr/d.nii.gz", ".trash/imagesTr/e.nii.gz")
    found = [(case.name, case.image.name, case.label and case.label.name) for case in find_cases(tmp_path)]
    assert found == [("A", "A_0000.NII.GZ", "A.nii.gz"), ("b", "b_0000.nii", "b.Nii"), ("c", "c.NII", None)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["other/a_0000.nii.gz"], "found no image"),
        (["imagesTr/a_0000.nii.gz", "labelsTr/b.nii.gz"], "1 labels have no image"),
        (["imagesTr/a_0000.nii.gz", "imagesTs/a_0000.nii.gz"], "occurs twice"),
    ],
)
def test_what_does_not_pair_is_an_error(tmp_path: Path, names: list[str], message: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        find_cases(tmp_path)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ((), ()),
        ((1, 14), (1, 14)),
        ((2, 13), (2, 13)),
        (tuple(range(1, 12)), ORGANS),
        (tuple(range(1, 11)), tuple(range(1, 11))),
        ((*range(1, 14), 14), (*ORGANS, 14)),
    ],
)
def test_a_case_vouches_for_what_its_annotators_looked_for(present: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert vouched_classes(present) == expected


def test_the_split_is_80_to_20_and_hardly_moves_when_cases_join() -> None:
    names = [f"case_{i:04d}" for i in range(200)]
    split = split_cases(names)
    assert len(split["train"]) == 160
    assert sorted(split["train"] + split["val"]) == names
    assert split_cases(reversed(names)) == split
    more = split_cases([*names, *(f"new_{i}" for i in range(10))])
    assert len(set(split["val"]) - set(more["val"])) <= 6
    assert split_cases(["one", "two"])["val"]
    assert split_cases(["one"]) == {"train": ["one"], "val": []}


def test_a_tumour_becomes_the_organ_around_it() -> None:
    labels = np.zeros((9, 10, 22), np.uint8)
    labels[1:8, 1:9, 1:9] = 1
    labels[3:5, 3:5, 3:5] = 14  # inside the liver
    labels[2:5, 2:5, 9:12] = 14  # at its side, mostly in fat, touching the liver alone
    labels[6:8, 2:4, 15:18] = 14  # alone
    labels[0, 0, 0] = 15  # ignored
    got = without_tumour(labels)
    assert (got[3:5, 3:5, 3:5] == 1).all()
    assert (got[2:5, 2:5, 9:12] == 1).all()
    assert not got[6:8, 2:4, 15:18].any()
    assert got[0, 0, 0] == 14
    assert ((got == labels) | (labels >= 14)).all()
