"""What kind of file one is, by its first bytes, and any readable kind as a plain DICOM file (PS3.10).

GDCM reads files without the 128-byte preamble and without a header of their own too; so are they here. A file that was packed
or emptied is distinguished from one that never was a slice.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import BinaryIO

from flare_trt.engine.scans.dicom.file_set import FileSet

#: Where the preamble of a DICOM file ends and its mark stands (PS3.10, section 7.1).
_MARK_AT, _MARK = 128, b"DICM"
#: The transfer syntax stands within the file's first bytes, in explicit VR little endian, whatever the file's own is.
_HEAD_BYTES, _SYNTAX_ELEMENT = 16384, b"\x02\x00\x10\x00UI"
_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
#: A deflated data set unpacks to no more than this: a slice of one value to about 500 times its size, images to 10 times.
_MOST_SLICE_BYTES, _MOST_RATIO = 64 << 20, 32
_GZIP = b"\x1f\x8b"
#: A first element of a bare data set is no longer than this.
_FIRST_BYTES = 1 << 16
_FIRST_VRS = (b"UL", b"UI", b"CS", b"LO", b"SH", b"DA", b"TM", b"OB", b"UN")


class Kind(Enum):
    """What the first bytes say."""

    MARKED = "a DICOM file"
    NO_PREAMBLE = "a DICOM file whose preamble was left out"
    MARK_FIRST = "a DICOM file that begins with its mark"
    BARE = "a data set without a file header"
    PACKED = "a DICOM file that was gzipped"
    BLANK = "empty or nothing but zeros"
    OTHER = "something else"

    @property
    def readable(self) -> bool:
        """Whether `opened` can hand it out."""
        return self in (Kind.MARKED, Kind.NO_PREAMBLE, Kind.MARK_FIRST, Kind.BARE)


def kind_of(head: bytes) -> Kind:
    """The kind of the file that begins so (its first 16 KiB, or all of it)."""
    if head[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK:
        return Kind.MARKED
    if not head.strip(b"\0") or (len(head) < _MARK_AT + len(_MARK) and not head[:_MARK_AT].strip(b"\0")):
        return Kind.BLANK  # or cut within the mark
    if head.startswith(_MARK + b"\x02\x00"):
        return Kind.MARK_FIRST
    if head.startswith(_GZIP):
        return Kind.PACKED if _unpacked_kind(head).readable else Kind.OTHER
    if head.startswith(b"\x02\x00") and _SYNTAX_ELEMENT in head:
        return Kind.NO_PREAMBLE
    return Kind.OTHER if _bare_syntax(head) is None else Kind.BARE


def read_head(stream: BinaryIO) -> bytes:
    """As much of a file as `kind_of` wants."""
    return stream.read(_HEAD_BYTES)


@contextmanager
def opened(files: FileSet, number: int) -> Iterator[BinaryIO]:
    """A readable file as a plain DICOM file: with preamble and header, and inflated. Raises OSError or ValueError."""
    with files.open(number) as stream:
        head = read_head(stream)
        stream.seek(0)
        kind = kind_of(head)
        if kind is Kind.MARKED and _transfer_syntax(head) != _DEFLATED:
            yield stream
        else:
            yield io.BytesIO(_plain(stream.read(), kind))


def inflated(data: bytes) -> bytes:
    """A marked DICOM file with its data set inflated, within bounds, where it is deflated. Raises ValueError."""
    return _plain(data, Kind.MARKED)


def _plain(data: bytes, kind: Kind) -> bytes:
    """The bytes of a file of any readable kind as those of a plain one."""
    if kind is Kind.BARE:
        syntax = _bare_syntax(data)
        if syntax is None:
            raise ValueError("no data set")
        return _header(syntax) + data
    if kind is not Kind.MARKED:
        data = bytes(_MARK_AT) + (b"" if kind is Kind.MARK_FIRST else _MARK) + data
    if _transfer_syntax(data[:_HEAD_BYTES]) != _DEFLATED:
        return data
    start = _header_end(data)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = engine.decompress(data[start:], max(_MOST_SLICE_BYTES, _MOST_RATIO * len(data)))
    except zlib.error as error:
        raise ValueError("the deflated data set is damaged") from error
    if not engine.eof:
        raise ValueError("the deflated data set is cut or too large")
    return _header(_EXPLICIT) + unpacked


def _header(syntax: str) -> bytes:
    """A preamble, the mark and a file header that says no more than the transfer syntax."""
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = _SYNTAX_ELEMENT + struct.pack("<H", len(value)) + value
    return bytes(_MARK_AT) + _MARK + b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(element)) + element


def _header_end(data: bytes) -> int:
    """Where the file header of a marked file ends: at the first element that is not of group 2."""
    at = _MARK_AT + len(_MARK)
    while data[at : at + 2] == b"\x02\x00":
        if data[at + 4 : at + 6] in (b"OB", b"UN", b"OW", b"UT"):
            at += 12 + int.from_bytes(data[at + 8 : at + 12], "little")
        else:
            at += 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    return at


def _transfer_syntax(head: bytes) -> str:
    at = head.find(_SYNTAX_ELEMENT)
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return "" if at < 0 else head[at + 8 : at + 8 + length].decode("latin-1").strip("\0 ")


def _bare_syntax(head: bytes) -> str | None:
    """The transfer syntax of a data set that has no file header, by its first element, which is one of group 8; else None."""
    if len(head) < 16:
        return None
    vr, short = head[4:6], head[6:8]
    if head[:2] == b"\x08\x00" and vr in _FIRST_VRS:
        return _EXPLICIT
    if head[:2] == b"\x00\x08" and vr in _FIRST_VRS and int.from_bytes(short, "big") < _FIRST_BYTES:
        return _BIG
    length = int.from_bytes(head[4:8], "little")
    second = 8 + length
    follows = head[second : second + 2] in (b"\x08\x00", b"\x10\x00")
    return _IMPLICIT if head[:2] == b"\x08\x00" and length <= _FIRST_BYTES and length % 2 == 0 and follows else None


def _unpacked_kind(head: bytes) -> Kind:
    """The kind of what is inside a gzip file, as far as its first bytes give it."""
    try:
        inside = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return Kind.OTHER
    return Kind.OTHER if inside.startswith(_GZIP) else kind_of(inside)
