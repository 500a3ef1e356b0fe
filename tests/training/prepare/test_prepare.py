"""The whole of `train prepare` on a small download, and the checks of single cases."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.training.prepare import command
from flare_trt.training.prepare.cases import Case
from flare_trt.training.prepare.inspect_case import inspect_case
from tests.training.flare_folder import SPACING_MM, FolderSpec, make_flare_folder, phantom_arrays, write_nifti


def prepare(flare: Path, out: Path) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args([str(flare), "--out", str(out)]))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("flare")
    make_flare_folder(root / "flare", FolderSpec())
    write_nifti(root / "flare/imagesTr/broken_0000.nii.gz", phantom_arrays(9)[0])
    write_nifti(root / "flare/labelsTr/broken.nii.gz", phantom_arrays(9)[1][:-1])
    assert prepare(root / "flare", root / "raw") == 0
    return root / "raw"


def test_both_datasets_have_nnunet_s_layout(prepared: Path) -> None:
    for name, labels, ignore in (("Dataset501_FLAREFine", 16, 15), ("Dataset502_FLARECoarse", 15, 14)):
        folder = prepared / name
        content = json.loads((folder / "dataset.json").read_text())
        assert (
            content["numTraining"] == 5 == len(list((folder / "imagesTr").iterdir())) == len(list((folder / "labelsTr").iterdir()))
        )
        assert len(content["labels"]) == labels
        assert content["labels"]["ignore"] == ignore
        assert content["channel_names"] == {"0": "CT"}
        assert (folder / "imagesTr/FLARE23_0001_0000.nii.gz").resolve().exists()
        assert [file.name for file in (folder / "imagesUnlabeled").iterdir()] == ["FLARE23Un_0001_0000.nii.gz"]
        split = json.loads((folder / "splits_final.json").read_text())
        assert len(split) == 1
        assert len(split[0]["train"]) == 4


@pytest.mark.peer
def test_nnunet_finds_the_cases(prepared: Path) -> None:
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    found = get_filenames_of_train_images_and_targets(str(prepared / "Dataset502_FLARECoarse"))
    assert sorted(found) == ["FLARE23_0001", "FLARE23_0002", "FLARE23_0003", "FLARE23_0004", "FLARE23_0005"]
    assert all(Path(case["label"]).exists() and Path(case["images"][0]).exists() for case in found.values())


def test_the_partial_cases_vouch_for_little(prepared: Path) -> None:
    vouched = json.loads((prepared / "Dataset501_FLAREFine/vouched.json").read_text())
    assert vouched["FLARE23_0004"] == [1, 2, 13]
    assert vouched["FLARE23_0001"] == list(range(1, 15))


def test_the_coarse_labels_have_no_tumour(prepared: Path) -> None:
    fine, coarse = (
        read_labels(prepared / name / "labelsTr/FLARE23_0001.nii.gz").array
        for name in ("Dataset501_FLAREFine", "Dataset502_FLARECoarse")
    )
    assert (fine == 14).any()
    assert (coarse[fine == 14] == 1).all()
    assert np.array_equal(coarse[fine != 14], fine[fine != 14])


def test_the_datasheet_tells_counts_and_problems(prepared: Path) -> None:
    sheet = json.loads((prepared / "Dataset501_FLAREFine/datasheet.json").read_text())
    assert (sheet["cases"], sheet["usable"], sheet["labelled"], sheet["complete"], sheet["unlabelled"]) == (7, 6, 5, 3, 1)
    assert sheet["spacing_mm"]["median"] == pytest.approx(list(SPACING_MM))
    assert sheet["classes"]["liver"]["present"] == 5
    assert sheet["classes"]["aorta"]["vouched"] == 3
    assert -150 < sheet["foreground_hu"]["mean"] < 200
    assert "grid" in sheet["problems"]["broken"][0]
    page = (prepared / "Dataset501_FLAREFine/datasheet.md").read_text()
    assert "7 cases, 6 usable: 5 labelled (3 for all organs), 1 unlabelled." in page
    assert "| liver | 5 | 5 |" in page


def test_a_dataset_is_never_overwritten(prepared: Path) -> None:
    with pytest.raises(OutputError, match="there already"):
        prepare(prepared.parent / "flare", prepared)


def test_a_folder_without_usable_labels_is_an_error(tmp_path: Path) -> None:
    make_flare_folder(tmp_path / "flare", FolderSpec((), (), ("only",)))
    with pytest.raises(InputError, match="no usable labelled case"):
        prepare(tmp_path / "flare", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def inspect(tmp_path: Path, hu: np.ndarray, labels: np.ndarray):
    write_nifti(tmp_path / "i.nii.gz", hu)
    write_nifti(tmp_path / "l.nii.gz", labels)
    return inspect_case(Case("case", tmp_path / "i.nii.gz", tmp_path / "l.nii.gz"))


def test_a_good_case_has_no_problem(tmp_path: Path) -> None:
    facts = inspect(tmp_path, *phantom_arrays(1))
    assert facts.problems == ()
    assert facts.usable
    assert facts.orientation == "SPL"
    assert 300 < facts.volumes_ml[1] < 2500


def test_swapped_sides_unknown_values_and_odd_values_are_found(tmp_path: Path) -> None:
    hu, labels = phantom_arrays(1)
    swapped = labels.copy()
    swapped[labels == 2], swapped[labels == 13] = 13, 2
    assert "sides swapped" in inspect(tmp_path, hu, swapped).problems[0]
    unknown = labels.copy()
    unknown[0, 0, 0] = 77
    facts = inspect(tmp_path, hu, unknown)
    assert not facts.usable
    assert "[77]" in facts.problems[0]
    assert "do not look like HU" in inspect(tmp_path, (hu + 1024).astype(np.int16), labels).problems[0]
    assert inspect(tmp_path, hu, np.zeros_like(labels)).problems[0] == "the label map is empty"
    giant = labels.copy()
    giant[:, :, : giant.shape[2] // 2] = 2
    assert any("right kidney of" in problem for problem in inspect(tmp_path, hu, giant).problems)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "i.nii.gz").write_bytes(b"nonsense")
    facts = inspect_case(Case("case", tmp_path / "i.nii.gz", None))
    assert not facts.usable
    assert facts.problems
