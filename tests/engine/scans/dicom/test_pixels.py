"""HU do not depend on how pixels are packed: every way of storing gives what was stored, whatever stands in the unused bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate
from tests.engine.scans.dicom.series_files import Look, slice_dataset, small_ct
from tests.engine.scans.dicom.test_reader import sitk_ct

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

HU = small_ct((3, 37, 33))
#: What stands in the four bits that are not stored: nothing, the sign as a two's complement number has it, an overlay, all.
JUNK: dict[str, Callable[[NDArray[np.int32]], Any]] = {
    "none": lambda stored: 0,
    "sign": lambda stored: np.where(stored < 0, 0xF000, 0),
    "overlay": lambda stored: np.where(np.indices(stored.shape)[0] < 9, 0x1000, 0),
    "all": lambda stored: 0xF000,
}


@dataclass(frozen=True)
class Coder:
    """A transfer syntax, and what makes a codestream of cells with so many bits a sample (None: as they are)."""

    syntax: str
    encode: Callable[[NDArray[np.uint16], int], bytes] | None = None


def jpeg_ls(cells: NDArray[np.uint16], bits: int) -> bytes:
    """By CharLS, through pydicom: imagecodecs knows no 12 bits."""
    dataset = slice_dataset(HU[0], 0, Look())
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.BitsStored, dataset.HighBit, dataset.PixelData = bits, bits - 1, cells.tobytes()
    dataset.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    return pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)


def jpeg_2000(cells: NDArray[np.uint16], bits: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpeg2k_encode(cells, level=0, codecformat="j2k", bitspersample=bits))


def jpeg_lossless(cells: NDArray[np.uint16], bits: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.ljpeg_encode(cells, bitspersample=bits))


CODERS = {
    "explicit": Coder(uid.ExplicitVRLittleEndian),
    "implicit": Coder(uid.ImplicitVRLittleEndian),
    "big endian": Coder(uid.ExplicitVRBigEndian),
    "deflated": Coder(uid.DeflatedExplicitVRLittleEndian),
    "RLE": Coder(uid.RLELossless),
    "JPEG-LS": Coder(uid.JPEGLSLossless, jpeg_ls),
    "JPEG 2000": Coder(uid.JPEG2000Lossless, jpeg_2000),
    "JPEG 2000 (or lossy)": Coder(uid.JPEG2000, jpeg_2000),
    "JPEG lossless": Coder(uid.JPEGLossless, jpeg_lossless),
    "JPEG lossless, first order": Coder(uid.JPEGLosslessSV1, jpeg_lossless),
}


def written(folder: Path, coder: Coder, cells: NDArray[np.uint16], bits: int, sample_bits: int, look: Look) -> Path:
    """A series of these pixel cells (z, y, x), `bits` of which are stored, `sample_bits` of which go into the codestream."""
    folder.mkdir()
    for z, plane in enumerate(cells):
        dataset = slice_dataset(HU[z], z, look)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = coder.syntax
        big = coder.syntax == uid.ExplicitVRBigEndian
        dataset.PixelData = plane.astype(">u2" if big else "<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        if coder.encode is not None:
            dataset.PixelData = encapsulate([coder.encode(plane, sample_bits)])
            dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        elif coder.syntax == uid.RLELossless:
            dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
            dataset.compress(uid.RLELossless, generate_instance_uid=False)
        dataset.save_as(folder / f"{z}", enforce_file_format=True)
    return folder


def cells_of(hu: NDArray[np.int16], look: Look, bits: int, junk: str) -> NDArray[np.uint16]:
    stored = hu.astype(np.int32) - int(look.intercept)
    unused = JUNK[junk](stored) if bits < 16 else 0
    return ((stored & (1 << bits) - 1) | unused).astype(np.uint16)


@pytest.mark.parametrize(("bits", "junk"), [(16, "none"), *((12, junk) for junk in JUNK)])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", CODERS)
def test_hu_are_those_of_the_uncompressed_series(tmp_path: Path, name: str, signed: bool, bits: int, junk: str) -> None:
    look = Look(signed=signed, intercept=0.0 if signed else -1024.0)
    cells = cells_of(HU, look, bits, junk)
    for sample_bits in {16, bits} if junk == "none" and CODERS[name].encode else {16}:
        folder = written(tmp_path / f"{sample_bits}", CODERS[name], cells, bits, sample_bits, look)
        np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, HU, err_msg=f"{sample_bits} bits a sample")


@pytest.mark.parametrize("name", ["explicit", "RLE", "JPEG-LS", "JPEG lossless", "deflated"])
def test_gdcm_reads_the_same(tmp_path: Path, name: str) -> None:
    """Not JPEG 2000, of whose unused bits GDCM 3.2 takes an overlay for 4096 HU."""
    look = Look(signed=True, intercept=0.0)
    folder = written(tmp_path / "ct", CODERS[name], cells_of(HU, look, 12, "overlay"), 12, 16, look)
    np.testing.assert_array_equal(sitk_ct(folder)[0], HU)


def test_jpeg_extended_of_12_bits(tmp_path: Path) -> None:
    """Lossy: within a few HU of the source, and the same numbers as GDCM's own reader gives."""
    import imagecodecs

    def extended(cells: NDArray[np.uint16], bits: int) -> bytes:
        return bytes(imagecodecs.jpeg8_encode(cells, level=100, bitspersample=12))

    look = Look()
    folder = written(tmp_path / "ct", Coder(uid.JPEGExtended12Bit, extended), cells_of(HU, look, 12, "none"), 12, 12, look)
    got = whole_ct(DicomReader(folder)).array
    assert 0 < np.abs(got - HU).max() <= 4
    np.testing.assert_array_equal(got, sitk_ct(folder)[0])


def test_a_sign_that_nobody_can_know_is_refused(tmp_path: Path) -> None:
    """12 bits without a sign in the codestream for 16 stored bits with one: GDCM 3.2 and pydicom 3.0 read different HU."""
    look = Look(signed=True, intercept=0.0)
    for name in ("JPEG-LS", "JPEG 2000", "JPEG lossless"):
        folder = written(tmp_path / name, CODERS[name], cells_of(HU, look, 12, "none"), 16, 12, look)
        with pytest.raises(InputError, match=r"file 1 of 3 .*16 stored bits with a sign, its codestream 12 bits without one"):
            whole_ct(DicomReader(folder))


def test_unsigned_samples_of_fewer_bits_than_are_stored(tmp_path: Path) -> None:
    look = Look()
    folder = written(tmp_path / "ct", CODERS["JPEG 2000"], cells_of(HU, look, 12, "none"), 16, 12, look)
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, HU)


@pytest.mark.parametrize("name", ["JPEG-LS", "JPEG 2000", "JPEG lossless"])
def test_a_codestream_of_another_size_is_refused(tmp_path: Path, name: str) -> None:
    look = Look()
    folder = written(tmp_path / "ct", CODERS[name], cells_of(HU, look, 12, "none"), 12, 16, look)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.Rows += 1
        dataset.save_as(file)
    with pytest.raises(InputError, match=r"says \(38, 33\) pixels of one sample, its codestream \(37, 33\)"):
        whole_ct(DicomReader(folder))


def test_left_aligned_pixels_are_refused(tmp_path: Path) -> None:
    """HighBit 15 of 12 stored bits, of before 2014: GDCM and pydicom read 16 times the values."""
    folder = written(tmp_path / "ct", CODERS["explicit"], cells_of(HU, Look(), 12, "none"), 12, 16, Look())
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.HighBit = 15
        dataset.save_as(file)
    with pytest.raises(InputError, match="12 stored and high bit 15, expected the lowest bits"):
        DicomReader(folder)
