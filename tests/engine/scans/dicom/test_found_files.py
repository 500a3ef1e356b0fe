"""No slice vanishes: what can be read is, what ought to be a slice and cannot be read is refused, other files are counted."""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series
from tests.engine.scans.dicom.test_reader import sitk_ct

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((9, 11, 13))
Damage = Callable[[Path], None]


def series(folder: Path, ending: str = ".dcm", syntax: str = uid.ExplicitVRLittleEndian) -> Path:
    """Files whose names count along z, with an ending."""
    write_series(folder, HU)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = syntax
        name = folder / f"{100 + dataset.InstanceNumber}{ending}"
        dataset.save_as(name, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=True)
        file.unlink()
    return folder


def without_preamble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[132:])


def from_its_mark(path: Path) -> None:
    path.write_bytes(path.read_bytes()[128:])


def bare(path: Path) -> None:
    """The data set alone, as old tools and some archives keep it."""
    data = path.read_bytes()
    length = int.from_bytes(data[140:144], "little")  # of group 2, by its first element
    path.write_bytes(data[144 + length :])


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
@pytest.mark.parametrize("change", [without_preamble, from_its_mark, bare])
@pytest.mark.parametrize("zipped", [False, True])
def test_files_without_all_of_their_head_are_read(tmp_path: Path, change: Damage, syntax: str, zipped: bool) -> None:
    folder = series(tmp_path / "ct", "", syntax)
    for file in sorted(folder.iterdir())[4:]:
        change(file)
    scan = Path(shutil.make_archive(str(folder), "zip", folder)) if zipped else folder
    reader = DicomReader(scan)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)
    assert reader.warnings == ()


def test_gdcm_reads_files_without_preamble_too(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    expected = sitk_ct(folder)[0]
    for file in folder.iterdir():
        without_preamble(file)
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, expected)
    import gdcm

    for file in folder.iterdir():
        reader = gdcm.ImageReader()
        reader.SetFileName(str(file))
        assert reader.Read()


def test_a_big_endian_data_set_alone(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU, Look(syntax=uid.ExplicitVRBigEndian))
    for file in folder.iterdir():
        bare(file)
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, HU)


def gzipped(path: Path) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def cut(size: int) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[:size]) and None


@pytest.mark.parametrize("ending", [".dcm", ""])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b""), "file 6 of 9 .*empty or nothing but zeros, though it is named like an image"),
        (lambda path: path.write_bytes(bytes(5000)), "file 6 of 9 .*empty or nothing but zeros"),
        (gzipped, "file 6 of 9 .*a gzipped DICOM file, expected it unpacked; run gunzip"),
        (cut(140), "file 6 of 9 .*is damaged or cut"),
        (cut(300), "file 6 of 9 .*is damaged or cut"),
        (cut(700), "file 6 of 9 .*is damaged or cut"),
        (cut(1000), "file 6 of 9 .*is damaged or cut"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_slice_that_cannot_be_read_is_refused(tmp_path: Path, change: Damage, message: str, ending: str, zipped: bool) -> None:
    folder = series(tmp_path / "ct", ending)
    for file in sorted(folder.iterdir())[5:]:
        change(file)
    scan = Path(shutil.make_archive(str(folder), "zip", folder)) if zipped else folder
    with pytest.raises(InputError, match=message):
        DicomReader(scan)


@pytest.mark.parametrize("content", [b"# notes\n", bz2.compress(b"x"), bytes(4) + b"no slice"])
def test_what_is_named_dcm_and_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = series(tmp_path / "ct", ".dcm")
    sorted(folder.iterdir())[5].write_bytes(content)
    with pytest.raises(InputError, match=r"file 6 of 9 .*no DICOM that can be read, though it is named like an image"):
        DicomReader(folder)


def test_other_files_are_counted_in_one_warning(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct", "")
    (folder / "README").write_text("of the disc")
    (folder / "notes.txt.gz").write_bytes(gzip.compress(b"notes"))
    (folder / "thumbs.db").write_bytes(bytes(9))
    (folder / "other").mkdir()
    (folder / "other" / "LOCKFILE").touch()
    (folder / ".DS_Store").write_bytes(b"hidden")
    (folder / "._101").write_bytes(b"hidden too")
    archive = Path(shutil.make_archive(str(tmp_path / "zipped"), "zip", folder))
    for scan in (folder, archive):
        reader = DicomReader(scan)
        assert reader.warnings == ("4 other files, which are not DICOM, were left out",)
        np.testing.assert_array_equal(whole_ct(reader).array, HU)


def test_links_to_folders(tmp_path: Path) -> None:
    """Those within are walked anyway; those that lead out may hold slices and are reported."""
    folder = series(tmp_path / "ct")
    (folder / "again").symlink_to(folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert DicomReader(folder).warnings == ("1 links to other folders were not followed",)


def test_a_folder_inside_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without the right to; the tests' own may read all."""
    folder = series(tmp_path / "ct")
    (folder / "locked").mkdir()
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match="or one inside it, cannot be read: Permission denied; give access to it"):
        DicomReader(folder)


def test_a_deflated_file_that_inflates_without_end_takes_no_memory(tmp_path: Path) -> None:
    """32 times its size, and 64 MiB at the least, are room enough for any series."""
    import zlib

    folder = series(tmp_path / "ct")
    file = sorted(folder.iterdir())[0]
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(file)
    data = file.read_bytes()
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    length = int.from_bytes(data[140:144], "little")
    file.write_bytes(data[: 144 + length] + deflater.compress(bytes(100 << 20)) + deflater.flush())
    with pytest.raises(InputError, match=r"is damaged or cut \(ValueError\)"):
        DicomReader(folder)
