"""A DICOMDIR stands for its folder, once all that it lists is there."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.dicomdir import described_folder, is_dicomdir
from flare_trt.engine.scans.dicom.reader import DicomReader


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """What pydicom writes as a disc: folders, files and the index."""
    files = FileSet()
    for path in sorted(write_series(tmp_path / "ct", small_ct((5, 11, 9)), Look()).iterdir()):
        files.add(pydicom.dcmread(path))
    files.write(tmp_path / "disc")
    return tmp_path / "disc"


def test_the_folder_of_a_disc(disc: Path) -> None:
    index = disc / "DICOMDIR"
    assert is_dicomdir(index)
    assert not is_dicomdir(disc)
    assert described_folder(index) == disc
    assert DicomReader(described_folder(index)).grid.shape_zyx == (5, 11, 9)


def test_names_in_lower_case_are_found(disc: Path) -> None:
    for path in sorted((path for path in disc.rglob("*") if path.name != "DICOMDIR"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))
    assert described_folder(disc / "DICOMDIR") == disc


def test_a_file_that_is_missing_is_an_error(disc: Path) -> None:
    next(path for path in disc.rglob("*") if path.is_file() and path.name != "DICOMDIR").unlink()
    with pytest.raises(InputError, match="1 of the 5 files that it lists are missing"):
        described_folder(disc / "DICOMDIR")


def test_a_damaged_index_is_an_error(disc: Path) -> None:
    (disc / "DICOMDIR").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="the DICOMDIR cannot be read"):
        described_folder(disc / "DICOMDIR")
