"""What is no regular CT series is refused, with what was got, what was expected and what to do."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import uid
from tests.engine.scans.dicom.series_files import SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.series import choose_series
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct()
Change = Callable[[Any, int], None]


def place(x: float, y: float, z: float) -> list[str]:
    return [f"{value:.4f}" for value in (x, y, z)]


def tilted(dataset: Any, z: int) -> None:
    dataset.ImagePositionPatient = place(-31.5, 12.25 + z * 2.5 * np.tan(np.radians(15)), -400 + 2.5 * z)


def uneven(dataset: Any, z: int) -> None:
    dataset.ImagePositionPatient = place(-31.5, 12.25, -400 + 2.5 * z + 0.7 * (z > 3))


def doubled(dataset: Any, z: int) -> None:
    dataset.ImagePositionPatient = place(-31.5, 12.25, -400 + 2.5 * min(z, 4))


def one_sagittal(dataset: Any, z: int) -> None:
    if z == 2:
        dataset.ImageOrientationPatient = list(SAGITTAL)


def one_zoomed(dataset: Any, z: int) -> None:
    if z == 2:
        dataset.PixelSpacing = [0.9, 0.9]


def one_cropped(dataset: Any, z: int) -> None:
    if z == 2:
        dataset.Rows, dataset.PixelData = 5, bytes(5 * 9 * 2)


def another_frame(dataset: Any, z: int) -> None:
    dataset.FrameOfReferenceUID = f"1.2.{z % 2}"


def sheared(dataset: Any, z: int) -> None:
    dataset.ImageOrientationPatient = [1, 0, 0, 0.6, 0.8, 0]


def magnetic(dataset: Any, z: int) -> None:
    dataset.Modality = "MR"


def coloured(dataset: Any, z: int) -> None:
    dataset.SamplesPerPixel = 3


def scout(dataset: Any, z: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def iodine(dataset: Any, z: int) -> None:
    dataset.RescaleType = "MGML"


def placeless(dataset: Any, z: int) -> None:
    del dataset.ImagePositionPatient


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (tilted, r"gantry tilt of 15\.0 degrees.*--correct-tilt"),
        (uneven, r"slices 2\.5 to 3\.2 mm apart, expected even spacing"),
        (doubled, "2 slices at the place of another one.*split the series"),
        (one_sagittal, "1 of 7 slices have another orientation"),
        (one_zoomed, "1 of 7 slices have another pixel spacing"),
        (one_cropped, "1 of 7 slices have another image size"),
        (another_frame, "3 of 7 slices have another frame of reference"),
        (sheared, "no perpendicular unit vectors"),
        (magnetic, "holds no CT series.*7 images of modality MR"),
        (coloured, "7 images in colour"),
        (scout, "7 images that are localizers"),
        (iodine, "7 images whose values are not in HU"),
        (placeless, "7 images without position"),
    ],
)
def test_no_regular_stack(tmp_path: Path, change: Change, message: str) -> None:
    folder = write_series(tmp_path / "ct", HU, Look(change=change))
    with pytest.raises(InputError, match=message) as caught:
        DicomReader(folder)
    assert str(caught.value).startswith(f"{folder}: ")


@pytest.mark.parametrize(("gone", "message"), [(1, "1 missing"), (3, "3 missing")])
def test_missing_slices(tmp_path: Path, gone: int, message: str) -> None:
    folder = write_series(tmp_path / "ct", small_ct((12, 11, 9)))
    for file in sorted(folder.iterdir())[4 : 4 + gone]:
        file.unlink()
    with pytest.raises(InputError, match=message):
        DicomReader(folder)


def test_one_slice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got one slice"):
        DicomReader(write_series(tmp_path / "ct", HU[:1]))


def test_a_localizer_beside_the_slices_is_left_out(tmp_path: Path) -> None:
    look = Look()
    folder = write_series(tmp_path / "ct", HU, look)
    write_series(folder / "scout", HU[:1], replace(look, change=scout, cosines=SAGITTAL))
    reader = DicomReader(folder)
    assert reader.warnings == ("1 images that are localizers were left out of the series",)
    np.testing.assert_array_equal(whole_ct(reader).array, HU)


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    first, second = Look(series_uid="1.2.3.4"), Look(series_uid="1.2.3.5", spacing_mm=(5.0, 0.9, 0.9))
    write_series(tmp_path / "a", HU, first)
    write_series(tmp_path / "b", HU[:4], second)
    write_series(tmp_path / "mr", HU[:4], Look(series_uid="1.2.3.6", change=magnetic))
    with pytest.raises(InputError) as caught:
        DicomReader(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: got 2 CT series, expected one; choose it with --series UID:",
        "  1.2.3.4: number 4, CT, 7 slices, spacing 2.5 x 0.8 x 0.7 mm (z, y, x)",
        "  1.2.3.5: number 4, CT, 4 slices, spacing 5 x 0.9 x 0.9 mm (z, y, x)",
    ]
    np.testing.assert_array_equal(whole_ct(DicomReader(tmp_path, "1.2.3.5")).array, HU[:4])
    with pytest.raises(InputError, match=r"got no CT series 1\.9"):
        choose_series(tmp_path, "1.9")


def test_transfer_syntaxes_without_a_decoder(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
        dataset.PixelData = pydicom.encaps.encapsulate([b"no video"])
        dataset.save_as(file)
    with pytest.raises(InputError, match=r"got the transfer syntax MPEG2.*expected one of Implicit VR.*convert the series first"):
        DicomReader(folder)


def test_no_rescale_is_told(tmp_path: Path) -> None:
    def change(dataset: Any, z: int) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept

    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(change=change)))
    assert reader.warnings == ("the series has no rescale slope and intercept: its stored values are taken for HU",)


def test_half_a_rescale_is_told(tmp_path: Path) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(change=lambda dataset, z: delattr(dataset, "RescaleSlope"))))
    assert reader.warnings == (
        "images of the series lack a rescale slope or intercept: 1 and 0 are taken; check that the values are HU",
    )
    np.testing.assert_array_equal(whole_ct(reader).array, HU)


def test_a_row_without_a_length(tmp_path: Path) -> None:
    look = Look(change=lambda dataset, z: setattr(dataset, "ImageOrientationPatient", [0.0] * 3 + [0.0, 1.0, 0.0]))
    with pytest.raises(InputError, match="got a row and a column of length 0 and 1, expected 1"):
        DicomReader(write_series(tmp_path / "ct", HU, look))


def test_the_sop_class_decides_whatever_the_case_of_the_modality(tmp_path: Path) -> None:
    look = Look(change=lambda dataset, z: setattr(dataset, "Modality", "ct"))
    np.testing.assert_array_equal(whole_ct(DicomReader(write_series(tmp_path / "ct", HU, look))).array, HU)


def test_a_first_slice_cut_anywhere_is_never_passed_over(tmp_path: Path) -> None:
    """In the middle of SOPClassUID or Modality too, of which pydicom takes what is left for the value."""
    folder = write_series(tmp_path / "ct", HU, Look(identity={}))
    first = folder / "im0001"
    whole = first.read_bytes()
    for length in range(whole.index(b"\xe0\x7f\x10\x00") + 12):
        first.write_bytes(whole[:length])
        with pytest.raises(InputError, match="file 1 of 7"):
            choose_series(folder, None)


@pytest.mark.parametrize("cut", [300, 800, -40])
def test_cut_files(tmp_path: Path, cut: int) -> None:
    folder = write_series(tmp_path / "ct", HU)
    file = sorted(folder.iterdir())[2]
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"is damaged or cut|holds no CT|slices"):
        whole_ct(DicomReader(folder))


def test_flipped_bytes_raise_nothing_else(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU[:2])
    file = sorted(folder.iterdir())[0]
    whole, rng = file.read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(132, len(whole) - HU[0].nbytes, 3):
            damaged[at] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            whole_ct(DicomReader(folder))
        except InputError:
            refused += 1
    assert 20 < refused < 150


def test_a_size_that_the_files_do_not_hold_takes_no_memory(tmp_path: Path) -> None:
    def claim(dataset: Any, z: int) -> None:
        dataset.Rows, dataset.Columns = 10_000, 9_000

    reader = DicomReader(write_series(tmp_path / "ct", HU, Look(change=claim)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="is damaged or cut"):
            whole_ct(reader)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bits", [0, 65, 65_535])
def test_stored_bits_that_no_pixel_has(tmp_path: Path, bits: int) -> None:
    """A range of 65,535 bits is beyond a double's, which `widest` would compute with."""
    folder = write_series(tmp_path / "ct", HU, Look(slope=0.5, change=lambda dataset, z: setattr(dataset, "BitsStored", bits)))
    with pytest.raises(InputError, match=rf"got 16 bits allocated, {bits} stored and high bit 11, expected the lowest bits"):
        DicomReader(folder)
