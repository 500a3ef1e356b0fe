"""Stored values of one image: the stored bits of each pixel, whatever the transfer syntax and whatever stands in the unused bits.

PS3.5, section 8.1.1: nothing may be assumed of bits that are not stored ones, so that the sign is that of the highest stored bit.
Coders put pixels into a codestream with the bits that are stored or with all that are allocated; both come out alike here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.header import HeaderError, is_uid
from flare_trt.engine.scans.dicom.library import library
from flare_trt.engine.scans.dicom.plane import Plane

_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{end}" for end in (90, 91, 201, 202, 203))  # the last three: HTJ2K
#: Transfer syntax -> the library that it needs beside pydicom, each under a permissive licence. Deflated files come inflated.
DECODERS = {
    **dict.fromkeys(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"), "pydicom"),
    **dict.fromkeys(_JPEG_2000, "openjpeg"),
    **dict.fromkeys(_JPEG_LS, "jpeg_ls"),
    **dict.fromkeys(_JPEG, "gdcm"),
}
_NO_CORRECTION = {"raw": True, "correct_unused_bits": False}
#: Start of frame: baseline, extended, lossless, JPEG-LS (ITU-T T.81, B.1.1.3; T.87, C.1).
_FRAME_MARKS = (0xC0, 0xC1, 0xC3, 0xF7)
_SIZ = b"\xff\x4f\xff\x51"


def require_decoders(planes: Sequence[Plane]) -> None:
    """Raises InputError for a transfer syntax that is not read, or whose decoder is not installed."""
    uid = library("pydicom.uid").UID
    for syntax in sorted({plane.transfer_syntax for plane in planes}):
        if syntax not in DECODERS:
            known = ", ".join(uid(code).name.split(" (")[0] for code in DECODERS)
            got = uid(syntax).name if is_uid(syntax) else "no transfer syntax"
            raise InputError(f"got the transfer syntax {got}, expected one of {known}; convert the series first")
        library(DECODERS[syntax])


@dataclass(frozen=True)
class _Codestream:
    """What a codestream says of itself."""

    shape_yx: tuple[int, int]
    components: int
    precision: int
    signed: bool


def stored_values(stream: BinaryIO, plane: Plane) -> NDArray[Any]:
    """The stored numbers of a plane (y, x), signed where the header says so, from its file's plain form (see part10.opened).

    Raises HeaderError where header and codestream contradict each other, and what the decoders raise.
    """
    if DECODERS[plane.transfer_syntax] == "pydicom":
        cells = library("pydicom.pixels").pixel_array(stream, index=plane.frame, **_NO_CORRECTION)
        cells = np.array(cells, cells.dtype.newbyteorder("="))
    else:
        cells = _decoded(_encoded_frame(stream, plane.frame), plane)
    if cells.shape != plane.shape_yx:
        raise ValueError("got another number of pixels than rows and columns")
    return _stored_bits(cells, plane)


def _stored_bits(cells: NDArray[Any], plane: Plane) -> NDArray[Any]:
    """The lowest `bits` of each cell; the highest of them is the sign of signed ones."""
    width = 8 * cells.dtype.itemsize
    unused = max(0, width - plane.bits)
    values = cells.view(f"{'i' if plane.signed else 'u'}{cells.dtype.itemsize}")
    values <<= unused
    values >>= unused
    return values


def _encoded_frame(stream: BinaryIO, frame: int) -> bytes:
    """The codestream of a frame of encapsulated pixels (PS3.5, annex A.4)."""
    pydicom = library("pydicom")
    offsets = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    header = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=["NumberOfFrames", *offsets])
    explicit = stream.read(12)  # tag, VR, reserved and length: encapsulated pixels stand in explicit VR little endian
    if explicit[:4] != b"\xe0\x7f\x10\x00":
        raise ValueError("no pixels")
    table = tuple(header.get(name) for name in offsets)
    frames = int(header.get("NumberOfFrames") or 1)
    return bytes(
        library("pydicom.encaps").get_frame(
            stream, frame, number_of_frames=frames, extended_offsets=None if None in table else table
        )
    )


def _decoded(data: bytes, plane: Plane) -> NDArray[Any]:
    """The samples of a codestream (y, x) in a container of 8, 16 or 32 bits, which is looked over before room is made for it."""
    said = _siz(data) if plane.transfer_syntax in _JPEG_2000 else _frame_header(data)
    if said.shape_yx != plane.shape_yx or said.components != 1 or not 2 <= said.precision <= 32:
        raise HeaderError(
            f"the header says {plane.shape_yx} pixels of one sample, its codestream {said.shape_yx} of {said.components}; convert "
            "the series again"
        )
    decode: Callable[[bytes, Plane, _Codestream], Any] = _CODECS[DECODERS[plane.transfer_syntax]]
    size = 1 if said.precision <= 8 else 2 if said.precision <= 16 else 4
    cells = np.frombuffer(decode(data, plane, said), f"<{'i' if said.signed else 'u'}{size}").reshape(plane.shape_yx)
    if said.precision < plane.bits:
        cells = _widened(cells, plane, said)
    return np.array(cells)


def _widened(cells: NDArray[Any], plane: Plane, said: _Codestream) -> NDArray[Any]:
    """Samples of fewer bits than are stored, in a container that holds these. Raises HeaderError for signs that nobody can know.

    Decoders differ on samples without a sign that stand for numbers with one: some take the highest for the sign.
    """
    if plane.signed and not said.signed and cells.max() >> said.precision - 1:
        raise HeaderError(
            f"the header says {plane.bits} stored bits with a sign, its codestream {said.precision} bits without one, which can be "
            "read in two ways; convert the series again from its source"
        )
    return cells.astype(f"{cells.dtype.kind}{2 if plane.bits <= 16 else 4}")


def _by_openjpeg(data: bytes, plane: Plane, said: _Codestream) -> Any:
    return library("openjpeg").decode_pixel_data(data, version=2)


def _by_charls(data: bytes, plane: Plane, said: _Codestream) -> Any:
    return library("jpeg_ls").decode_pixel_data(data)[0]


def _by_gdcm(data: bytes, plane: Plane, said: _Codestream) -> Any:
    gdcm = library("gdcm")
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(data)
    fragments.AddFragment(fragment)
    pixels = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixels.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((*plane.shape_yx[::-1], 1))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(plane.transfer_syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 8 if said.precision <= 8 else 16, said.precision, said.precision - 1, 0))
    image.SetDataElement(pixels)
    return image.GetBuffer().encode("utf-8", "surrogateescape")


_CODECS = {"openjpeg": _by_openjpeg, "jpeg_ls": _by_charls, "gdcm": _by_gdcm}


def _siz(data: bytes) -> _Codestream:
    """The SIZ marker of JPEG 2000 (ITU-T T.800, A.5.1), within a file's boxes or without."""
    at = data.index(_SIZ) + len(_SIZ)
    right, lower, left, upper = struct.unpack_from(">4I", data, at + 4)
    components, depth = struct.unpack_from(">HB", data, at + 36)
    return _Codestream((lower - upper, right - left), components, (depth & 0x7F) + 1, bool(depth & 0x80))


def _frame_header(data: bytes) -> _Codestream:
    """The start of frame of JPEG and JPEG-LS: its segments are gone through until one of those comes."""
    at = 2
    while data[at] == 0xFF and data[at + 1] not in _FRAME_MARKS:
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if data[at] != 0xFF:
        raise ValueError("no start of frame")
    precision, rows, columns, components = struct.unpack_from(">BHHB", data, at + 4)
    return _Codestream((rows, columns), components, precision, signed=False)
