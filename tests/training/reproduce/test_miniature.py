"""The miniature download: what is labelled with what, and real CTs at its spacing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import write_ct, write_labels
from flare_trt.training.prepare.cases import find_cases
from flare_trt.training.prepare.inspect_case import inspect_case
from flare_trt.training.reproduce import miniature
from flare_trt.training.reproduce.miniature import SPACING_MM, MiniatureSize, held_out, make_miniature


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature with two real CTs, one of them labelled."""
    root = tmp_path_factory.mktemp("miniature")
    ct, labels = miniature.phantom(77, (33, 35, 41))
    grid = Grid((33, 35, 41), (3.0, 2.0, 2.5), (10.0, -20.0, 30.0), ((-1, 0, 0), (0, 1, 0), (0, 0, 1)))
    for name in ("with", "without"):
        (root / name).mkdir()
        write_ct(root / name / "ct.nii.gz", Volume(ct.array, grid))
    write_labels(root / "with/seg_flare13.nii.gz", Volume(np.where(labels.array == 14, 0, labels.array).astype(np.uint8), grid))
    assert make_miniature(root / "flare", MiniatureSize(2, 3, 1, 1), [root / "with", root / "without"]) == 8
    return root / "flare"


def test_each_case_shows_what_it_was_annotated_for(folder: Path) -> None:
    facts = {case.name: inspect_case(case) for case in find_cases(folder)}
    assert not [problem for fact in facts.values() for problem in fact.problems if not fact.usable], facts
    assert {name for name, fact in facts.items() if not fact.vouched} == {"phantom_005", "real_without"}
    for name in ("phantom_000", "phantom_001"):
        assert facts[name].vouched == tuple(range(1, 15)), "all organs and tumour"
    assert facts["phantom_002"].vouched == (1, 3, 11)
    assert facts["phantom_003"].vouched == (5, 6)
    assert facts["phantom_004"].vouched == (1, 14)


def test_a_real_ct_keeps_its_place(folder: Path) -> None:
    case = {case.name: case for case in find_cases(folder)}["real_with"]
    ct = read_ct(case.image)
    assert case.label is not None
    labels = read_labels(case.label)
    assert ct.grid.same_place(labels.grid)
    assert ct.grid.orientation == "SPR"
    assert ct.grid.shape_zyx == (12, 10, 15)
    extent = np.multiply(ct.grid.shape_zyx, ct.grid.spacing_mm)
    assert np.allclose(extent, (99.0, 70.0, 102.5))
    assert np.abs(np.subtract(ct.grid.spacing_mm, SPACING_MM)).max() < 0.3
    assert set(np.unique(labels.array)) <= set(range(14))


def test_the_same_arguments_give_the_same_scans() -> None:
    first, again = (held_out(MiniatureSize(held_out=1))[0] for _ in range(2))
    assert np.array_equal(first[0].array, again[0].array)
    assert (first[1].array == 14).any()


def test_each_seed_has_other_phantoms_with_lesions_of_three_voxels_and_more(tmp_path: Path) -> None:
    cts, sizes = [], []
    for seed in range(3):
        make_miniature(tmp_path / str(seed), MiniatureSize(1, 0, 0, 0), [], seed)
        cts.append(read_ct(tmp_path / str(seed) / "imagesTr/phantom_000_0000.nii.gz").array)
        sizes.append(int((read_labels(tmp_path / str(seed) / "labelsTr/phantom_000.nii.gz").array == 14).sum()))
    assert not any(np.array_equal(one, other) for one, other in pairwise(cts))
    assert sum(sizes) > 3 * 27 / 2
