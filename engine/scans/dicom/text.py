"""Text of a DICOM header for files made from it, each of which has one character set (PS3.3, C.12.1.1.2).

That is UTF-8 where all of the text decodes; else the source's own set, and every value as the bytes that stand there: a name that
came out changed would be filed under another patient.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flare_trt.engine.scans.dicom.library import library, quiet

UTF8 = "ISO_IR 192"
_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ESCAPE = b"\x1b"

Recode = Callable[[str, bytes], bytes]


def in_one_set(header: Any) -> tuple[Any, bool]:
    """A copy of a header (its elements and nested items) as it can be written into another file, and whether it is in UTF-8.

    Call it inside `quiet`.
    """
    try:
        copy, utf8 = _copy(header, _to_utf8(header.get("SpecificCharacterSet"))), True
    except (UnicodeError, LookupError, ValueError):  # ValueError: an escape sequence that no set has
        copy, utf8 = _copy(header, None), False
    if utf8:
        copy.SpecificCharacterSet = UTF8
    return copy, utf8


def in_ascii(text: str, instead: str) -> str:
    """Text without what ASCII lacks: accents are dropped, and `instead` is returned where that does not do.

    >>> in_ascii("rein derecho, riñón", "label 2"), in_ascii("肝臓", "label 1")
    ('rein derecho, rinon', 'label 1')
    """
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return bare if bare.isascii() else instead


def _copy(header: Any, recode: Recode | None) -> Any:
    """`recode` takes (VR, bytes) of each text value; None keeps the bytes."""
    pydicom = library("pydicom")
    copy = pydicom.Dataset()
    for element in header.elements():
        vr = _representation(element)
        if vr == "SQ":
            copy.add(pydicom.DataElement(element.tag, "SQ", [_item(item, recode) for item in header[element.tag].value or ()]))
        elif element.is_raw and vr in _TEXT:
            value = element.value or b""
            copy.add(_text(element.tag, vr, value if recode is None else recode(vr, value)))
        else:
            copy[element.tag] = element
    return copy


def _text(tag: Any, vr: str, stored: bytes) -> Any:
    """A text element that pydicom writes byte for byte: it would decode and encode a raw one, with loss."""
    pydicom = library("pydicom")
    if vr != "PN":
        return pydicom.DataElement(tag, vr, stored, already_converted=True)
    name = library("pydicom.valuerep").PersonName(stored)
    name.encode = lambda encodings=None: stored
    return pydicom.DataElement(tag, vr, name, already_converted=True)


def _item(item: Any, recode: Recode | None) -> Any:
    """An item of a sequence, which may have a character set of its own."""
    own = "SpecificCharacterSet" in item
    copy = _copy(item, _to_utf8(item.SpecificCharacterSet) if recode is not None and own else recode)
    if recode is not None and own:
        del copy.SpecificCharacterSet
    return copy


def _representation(element: Any) -> str:
    if element.VR in (None, "UN"):  # implicit VR, or a value that passed through a program that did not know it
        return str(library("pydicom").datadict.dictionary_VR(element.tag))
    return str(element.VR)


def _to_utf8(declared: Any) -> Recode:
    """Raises LookupError and ValueError (UnicodeError), here or when called, for what the declared set does not hold."""
    sets = [declared or ""] if isinstance(declared or "", str) else [str(one) for one in declared]
    charset = library("pydicom.charset")

    def recode(vr: str, stored: bytes) -> bytes:
        text = stored.rstrip(b"\0 ")
        if text.isascii() and _ESCAPE not in text:
            return text
        with _strictly():
            encodings = [_without_guessing(name) for name in charset.convert_encodings(sets)]
            delimiters = library("pydicom.valuerep").PN_DELIMS if vr == "PN" else library("pydicom.valuerep").TEXT_VR_DELIMS
            return str(charset.decode_bytes(text, encodings, delimiters)).encode()

    return recode


def _without_guessing(encoding: str) -> str:
    """pydicom takes Latin-1 for no set and for ASCII, which makes letters of any bytes."""
    return "ascii" if encoding == library("pydicom.charset").default_encoding else encoding


@contextmanager
def _strictly() -> Iterator[None]:
    """Make pydicom raise where bytes do not fit their set."""
    config = library("pydicom.config")
    with quiet():
        mode = config.settings.reading_validation_mode
        config.settings.reading_validation_mode = config.RAISE
        try:
            yield
        finally:
            config.settings.reading_validation_mode = mode
