"""Damage to the DICOM files of a zipped series that knows their elements: tags, VRs, lengths, values, items and fragments."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fuzz.dicom_seeds import packed_files, packed_zip
from tests.fuzz.mutate import damaged, damaged_zip

_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OD", b"OL", b"OV", b"SV", b"UV")
_VRS = (*_LONG, b"US", b"SS", b"UL", b"DS", b"IS", b"UI", b"CS", b"AT", b"FD", b"LO", b"PN", b"ZZ", b"\0\0")
_TAGS = (0x00280010, 0x00280011, 0x00280100, 0x7FE00010, 0x00200032, 0x00020010, 0x52009230, 0xFFFEE000, 0xFFFEE00D, 0x00080005)
_NUMBERS = (0, 1, 2, 3, 8, 11, 12, 32, 64, 255, 512, 10_000, 32_767, 32_768, 65_535)
_LENGTHS = (0, 1, 2, 3, 7, 255, 65_534, 65_535, 1 << 20, 1 << 30, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
_TEXTS = (
    *("", "0", "-1", "1", "2", "5", "1e9", "1e300", "1e-300", "nan", "inf", "-inf", "2147483648", "99999999999999999999"),
    *("1\\0\\0\\0\\1\\0", "0\\0\\0", "1\\1", "nan\\1\\1", "-31.5\\12.25\\1e38", "\\\\", "x", "MR", "HU", "US", "CT", "LOCALIZER"),
    *("1.2.840.10008.1.2." + end for end in ("1", "2", "5", "1.99", "4.50", "4.70", "4.80", "4.90", "4.201", "8.1")),
    *("1.2.840.10008.1.2", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.4.1", "ISO_IR 192", "ISO 2022 IR 87"),
    *("MONOCHROME1", "RGB", "01", "\xe9\x80", "7" * 70),
)
#: What geometry, values, pixels and references are computed from; the others are damaged less often.
_WANTED = (0x0002, 0x0018, 0x0020, 0x0028, 0x5200, 0x7FE0, 0xFFFE)


@dataclass(frozen=True)
class Element:
    """Where an element, or a sequence's or a fragment's mark, stands in a file: its value is [value_at, end)."""

    tag: int
    at: int
    vr: bytes
    length_form: str
    value_at: int
    end: int

    @property
    def length_at(self) -> int:
        return self.value_at - struct.calcsize(self.length_form)


def elements(data: bytes) -> list[Element]:
    """The elements of a DICOM file, those inside of sequences too; of a damaged one, as far as they can be followed."""
    found: list[Element] = []
    at, implicit, order = 132, False, "<"
    meta = data[132:1000]
    while at + 8 <= len(data):
        is_meta = data[at : at + 2] == b"\x02\x00"
        if not is_meta:
            order = ">" if b"1.2.840.10008.1.2.2\0" in meta else "<"
            implicit = b"1.2.840.10008.1.2\0" in meta
        group, number = struct.unpack_from(order + "HH", data, at)
        vr = b"" if group == 0xFFFE or (implicit and not is_meta) else data[at + 4 : at + 6]
        form, value_at = (order + "I", at + 8) if not vr else (order + "H", at + 8)
        if vr in _LONG:
            form, value_at = order + "I", at + 12
        if value_at > len(data):
            break
        length = struct.unpack_from(form, data, value_at - struct.calcsize(form))[0]
        tag = group << 16 | number
        fragment = tag == 0xFFFEE000 and bool(found) and any(one.tag == 0x7FE00010 for one in found[-20:])
        inside = vr == b"SQ" or length == 0xFFFFFFFF or (group in (0xFFFE, 0x5200) and not fragment)
        end = value_at if inside else min(len(data), value_at + length)
        found.append(Element(tag, at, vr, form, value_at, end))
        at = end
    return found


def damaged_file(data: bytes, rng: random.Random) -> bytes:
    """One file with one to three of its elements changed, or blindly damaged."""
    if rng.random() < 0.15:
        return damaged(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        found = elements(data)
        wanted = [one for one in found if one.tag >> 16 in _WANTED]
        chosen = rng.choice(wanted if wanted and rng.random() < 0.85 else found or [Element(0, 0, b"", "<H", 2, 2)])
        data = _changed(data, chosen, rng)
    return data


def _changed(data: bytes, one: Element, rng: random.Random) -> bytes:
    kind = rng.randrange(8)
    order = one.length_form[0]
    if kind < 4:
        return _with_value(data, one, _odd_value(data[one.value_at : one.end], one, rng))
    if kind == 4:
        length = (one.end - one.value_at + rng.choice((-2, -1, 1, 2))) if rng.random() < 0.3 else rng.choice(_LENGTHS)
        limit = 1 << 8 * struct.calcsize(one.length_form)
        return _over(data, one.length_at, struct.pack(one.length_form, length % limit))
    if kind == 5 and one.vr:
        return _over(data, one.at + 4, rng.choice(_VRS))
    if kind == 6:
        tag = rng.choice(_TAGS)
        return _over(data, one.at, struct.pack(order + "HH", tag >> 16, tag & 0xFFFF))
    return data[: one.at] + (b"" if rng.random() < 0.6 else 2 * data[one.at : one.end]) + data[one.end :]


def _odd_value(value: bytes, one: Element, rng: random.Random) -> bytes:
    order = one.length_form[0]
    if len(value) > 80 or one.tag >> 16 in (0x7FE0, 0xFFFE):
        return rng.choice((value[: rng.randrange(len(value) + 1) & ~1], damaged(value, rng), value * 2, value + bytes(2), b""))
    if one.vr in (b"US", b"SS") or (not one.vr and len(value) == 2):
        return struct.pack(order + "H", rng.choice(_NUMBERS)) * rng.choice((1, 1, 1, 2))
    text = rng.choice(_TEXTS).encode("latin-1")
    return text + b" " * (len(text) % 2)


def _with_value(data: bytes, one: Element, value: bytes) -> bytes:
    """Another value with the length that it has."""
    length = struct.pack(one.length_form, len(value) % (1 << 8 * struct.calcsize(one.length_form)))
    return data[: one.length_at] + length + value + data[one.end :]


def _over(data: bytes, at: int, part: bytes) -> bytes:
    return data[:at] + part + data[at + len(part) :]


def damaged_series(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One slice damaged, or some, or all in the same way, or slices gone, doubled or of another series; or the zip itself."""
    kind = rng.random()
    if kind < 0.12:
        return damaged_zip(data, rng, others)
    files = packed_files(data)
    names = list(files)
    if kind < 0.2:
        names.pop(rng.randrange(len(names)))
        return packed_zip({name: files[name] for name in names})
    if kind < 0.3:
        other = packed_files(rng.choice(list(others))) if others else files
        return packed_zip({**files, "other": rng.choice(list(other.values()))})
    chosen = names if rng.random() < 0.35 else rng.sample(names, rng.randint(1, min(2, len(names))))
    same = rng.getrandbits(40)
    return packed_zip({name: damaged_file(file, random.Random(same)) if name in chosen else file for name, file in files.items()})
