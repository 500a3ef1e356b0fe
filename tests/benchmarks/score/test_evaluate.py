from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.benchmarks.phantoms import label_map, save_labels
from tests.shared_data import shared_file

from flare_trt.benchmarks.score.evaluate import (
    CaseScores,
    Mean,
    Pair,
    evaluate_pair,
    mean_scores,
    organ_mean,
    pair_files,
    score_labels,
)
from flare_trt.benchmarks.score.protocol import PROTOCOLS, Score
from flare_trt.benchmarks.score.targets import LABEL_SETS
from flare_trt.engine.base.errors import InputError

LABELS = LABEL_SETS["flare23"]
FLARE23 = LABELS.targets
OFFICIAL = PROTOCOLS["flare23"]
SPACING = (2.5, 0.7, 0.8)


def official_scores(reference: NDArray[np.uint8], prediction: NDArray[np.uint8], spacing_xyz: Any) -> list[tuple[float, float]]:
    """FLARE23's rules said once more, on whole arrays in file order (x, y, z), with surface-distance doing the measuring."""
    metrics = pytest.importorskip("surface_distance.metrics")
    scores = []
    for structure in FLARE23:
        a, b = np.isin(reference, structure.values), np.isin(prediction, structure.values)
        if not a.any() or not b.any():
            scores.append((1.0, 1.0) if a.any() == b.any() else (0.0, 0.0))
            continue
        if structure.values[0] in (5, 6, 10):
            z = np.nonzero(a)[2]
            a, b = a[:, :, z.min() : z.max()], b[:, :, z.min() : z.max()]
        dsc = metrics.compute_dice_coefficient(a, b)
        nsd = 0.0
        if dsc >= 0.2:
            distances = metrics.compute_surface_distances(a, b, spacing_xyz)
            nsd = metrics.compute_surface_dice_at_tolerance(distances, structure.tolerance_mm)
        scores.append((round(dsc, 4), round(nsd, 4)))
    return scores


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_official_rules_on_phantoms(seed: int) -> None:
    reference = label_map(seed, (14, 37, 41), (1, 2, 4, 5, 6, 7, 10, 11, 12, 14))
    prediction = np.roll(reference, (1, 0, 2), (0, 1, 2))
    prediction[prediction == 7] = 8
    expected = official_scores(reference.T, prediction.T, SPACING[::-1])
    scores = score_labels(prediction, reference, SPACING, FLARE23, OFFICIAL)
    assert [(score.dsc, score.nsd) for score in scores] == expected


@pytest.mark.peer
@pytest.mark.nightly
def test_equals_the_official_rules_on_a_real_case(tmp_path: Path) -> None:
    import nibabel

    path = shared_file("ts_example", "seg_flare13.nii.gz")
    image: Any = nibabel.load(path)
    reference = np.asarray(image.dataobj).astype(np.uint8)
    prediction = np.roll(reference, (2, -1, 1), (0, 1, 2))
    predicted = tmp_path / "prediction.nii.gz"
    nibabel.save(nibabel.Nifti1Image(prediction, image.affine, image.header), predicted)
    found = evaluate_pair(Pair("case", predicted, path), LABELS, OFFICIAL)
    expected = official_scores(reference, prediction, image.header.get_zooms()[:3])
    assert [(score.dsc, score.nsd) for score in found.scores] == expected


def test_scores_do_not_depend_on_the_order_of_the_axes() -> None:
    reference = label_map(5, (15, 22, 31), (1, 2, 3))
    prediction = np.roll(reference, 1, 1)
    plain, structures = PROTOCOLS["plain"], FLARE23[:3]
    turned = score_labels(prediction.transpose(2, 0, 1), reference.transpose(2, 0, 1), (0.8, 2.5, 0.7), structures, plain)
    for one, other in zip(score_labels(prediction, reference, SPACING, structures, plain), turned, strict=True):
        assert one.nsd == pytest.approx(other.nsd, abs=1e-9)
        assert one.dsc == other.dsc


def test_folders_are_paired_by_case(tmp_path: Path) -> None:
    predictions, references = tmp_path / "p", tmp_path / "r"
    for folder, names in ((predictions, ("b.nii.gz", "a.nii", "extra.nii.gz")), (references, ("a.nii.gz", "b.nii.gz"))):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    (references / "notes.txt").touch()
    pairs, unpaired = pair_files(predictions, references)
    assert pairs == [
        Pair("a", predictions / "a.nii", references / "a.nii.gz"),
        Pair("b", predictions / "b.nii.gz", references / "b.nii.gz"),
    ]
    assert unpaired == ["extra"]


def test_hidden_files_are_no_cases_and_capitals_are(tmp_path: Path) -> None:
    predictions, references = tmp_path / "predictions", tmp_path / "references"
    for folder in (predictions, references):
        folder.mkdir()
        for name in ("A.NII.GZ", "b.nii", "._b.nii", "._c.nii.gz"):
            (folder / name).touch()
    assert [pair.case for pair in pair_files(predictions, references)[0]] == ["A", "b"]


def test_what_cannot_be_paired_is_an_error(tmp_path: Path) -> None:
    predictions, references = tmp_path / "p", tmp_path / "r"
    predictions.mkdir()
    references.mkdir()
    with pytest.raises(InputError, match="no such file"):
        pair_files(tmp_path / "absent", references)
    with pytest.raises(InputError, match="a file and a folder"):
        pair_files(save_labels(tmp_path / "a.nii", label_map(1, (3, 4, 5), (1,)), SPACING), references)
    with pytest.raises(InputError, match=r"no \.nii\.gz or \.nii or \.nrrd or \.mha file"):
        pair_files(predictions, references)
    (references / "case7.nii.gz").touch()
    with pytest.raises(InputError, match="no prediction for 1 of 1 cases: case7"):
        pair_files(predictions, references)
    (references / "case7.nii").touch()
    with pytest.raises(InputError, match=r"case7\.nii\.gz: the case case7 occurs twice, also as case7\.nii"):
        pair_files(predictions, references)


@pytest.mark.parametrize(
    ("prediction", "spacing", "message"),
    [
        (label_map(1, (6, 7, 9), (1, 2)), SPACING, "another grid"),
        (
            label_map(1, (6, 7, 8), (1, 2)),
            (2.5, 0.7, 0.9),
            r"another grid than .* \(voxels of 2.5 x 0.7 x 0.9 against 2.5 x 0.7 x 0.8 mm, up to 0.7 mm apart\)",
        ),
        (label_map(1, (6, 7, 8), (1, 77)), SPACING, r"holds the labels \[77\]"),
        (np.stack([label_map(1, (6, 7, 8), (1,))] * 2), SPACING, "expected one 3-D"),
        (label_map(1, (6, 7, 8), (1,)) + np.float32(0.5), SPACING, "whole numbers"),
    ],
)
def test_files_that_do_not_fit_are_an_error(tmp_path: Path, prediction: Any, spacing: Any, message: str) -> None:
    reference = save_labels(tmp_path / "reference.nii.gz", label_map(1, (6, 7, 8), (1, 2)), SPACING)
    with pytest.raises(InputError, match=message):
        evaluate_pair(Pair("x", save_labels(tmp_path / "x.nii.gz", prediction, spacing), reference), LABELS, OFFICIAL)


def test_a_file_that_is_no_image_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "x.nii.gz"
    broken.write_bytes(b"not a scan")
    with pytest.raises(InputError, match=r"x\.nii\.gz"):
        evaluate_pair(Pair("x", broken, broken), LABELS, OFFICIAL)


def test_means_leave_out_what_has_no_score_and_organs_leave_out_lesions() -> None:
    cases = [
        CaseScores("a", (Score(0.9, 0.8), Score(math.nan, math.nan))),
        CaseScores("b", (Score(0.7, 1.0), Score(0.5, 0.25))),
    ]
    structures = FLARE23[0], FLARE23[13]
    plain = PROTOCOLS["plain"]
    means = [mean_scores(cases, index, plain) for index in range(2)]
    assert means[0] == Mean(pytest.approx(0.8), pytest.approx(0.1), pytest.approx(0.9), pytest.approx(0.1), 2)
    assert means[1] == Mean(0.5, 0.0, 0.25, 0.0, 1)
    assert organ_mean(means, structures, plain).dsc == pytest.approx(0.8)
    assert math.isnan(mean_scores([CaseScores("a", (Score(math.nan, math.nan),))], 0, plain).dsc)


def test_official_means_are_rounded_once_a_structure_and_once_over_organs() -> None:
    cases = [CaseScores(str(i), (Score(dsc, dsc),) * 2) for i, dsc in enumerate((0.1111, 0.2222, 0.2222))]
    means = [mean_scores(cases, index, OFFICIAL) for index in range(2)]
    assert means[0].dsc == 0.1852  # 0.18516...
    assert organ_mean(means, FLARE23[:2], OFFICIAL).dsc == 0.1852
