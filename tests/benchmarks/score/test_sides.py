"""Which folder is the prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.benchmarks.score.sides import looks_swapped, sides_of
from flare_trt.engine.base.errors import InputError

P, R = Path("p"), Path("r")


def test_by_place_or_by_name() -> None:
    assert sides_of([P, R], None, None) == sides_of([], P, R) == (P, R)


@pytest.mark.parametrize(
    ("places", "prediction", "reference"),
    [([P], None, None), ([P], None, R), ([P, R], P, R), ([], P, None), ([P, R, R], None, None), ([], None, None)],
)
def test_anything_else_is_an_error(places: list[Path], prediction: Path | None, reference: Path | None) -> None:
    with pytest.raises(InputError, match="expected PREDICTION REFERENCE, or --prediction P --reference R"):
        sides_of(places, prediction, reference)


@pytest.mark.parametrize("name", ["labelsTr", "labelsTs", "gt_segmentations", "references"])
def test_a_folder_called_as_references_are(tmp_path: Path, name: str) -> None:
    first, second = tmp_path / name, tmp_path / "out"
    for folder in (first, second):
        folder.mkdir()
    assert "called as references are" in (looks_swapped(first, second) or "")
    assert "called as references are" in (looks_swapped(first / "case.nii.gz", second / "case.nii.gz") or "")
    assert looks_swapped(second, first) is None
    assert looks_swapped(first, first) is None


@pytest.mark.parametrize("name", ["predict_from_raw_data_args.json", "summary.json"])
def test_what_nnunet_leaves_beside_predictions(tmp_path: Path, name: str) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    assert looks_swapped(first, second) is None
    (second / name).touch()
    assert f"holds {name}" in (looks_swapped(first, second) or "")
    assert looks_swapped(second, first) is None
