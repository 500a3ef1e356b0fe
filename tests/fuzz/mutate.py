"""Damage to good inputs, from a seeded random generator: the same generator makes the same bytes on every machine."""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

#: Offset and struct format of the NIfTI-1 fields that sizes, types, scales and places are computed from.
_NIFTI_FIELDS = (
    *((40 + 2 * i, "h") for i in range(8)),  # dim
    *((76 + 4 * i, "f") for i in range(8)),  # pixdim
    *((256 + 4 * i, "f") for i in range(18)),  # quatern, qoffset, srow
    *((70, "h"), (72, "h"), (108, "f"), (112, "f"), (116, "f"), (123, "B"), (252, "h"), (254, "h"), (344, "I"), (0, "i")),
)
_INTEGERS = (0, 1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 512, 1000, 32767, -1, -2, -32768, 40000, 65535, 2**31 - 1, -(2**31))
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, -1e-7, 1e-3, 3.0, 352.0, 1e3, 1e7, 3e38, -3e38, float("nan"), float("inf"))
#: Stands for lists in lists until the document is text.
_DEEP = '"lists in lists"'
_STRINGS = ("", "..", "../x", "fine.onnx", "a" * 300, "\x00", "\ud800", "/x", "#zzzzzz", "SPL", "XYZ", "1e999", "é")


def damaged(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One to four blind changes: flipped bits, odd numbers, cuts, repeats, parts of another input."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(result) + 1)
        size = rng.choice((1, 2, 4, 8, 64, 1024))
        kind = rng.randrange(7)
        if kind == 0 and result:
            result[at % len(result)] ^= 1 << rng.randrange(8)
        elif kind == 1 and result:
            result[at % len(result)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            result[at : at + 4] = struct.pack(rng.choice("<>") + "i", rng.choice(_INTEGERS))
        elif kind == 3:
            del result[at : at + size]
        elif kind == 4:
            result[at:at] = result[at : at + size]
        elif kind == 5:
            result[at:] = b"" if rng.random() < 0.5 else rng.randbytes(size)
        elif others:
            other = rng.choice(others)
            cut = rng.randrange(len(other) + 1)
            result[at : at + size] = other[cut : cut + size]
    return bytes(result)


def damaged_nifti(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Odd values in the header's own fields, most of the time; gzipped again where the seed was."""
    gzipped = data[:2] == b"\x1f\x8b"
    block = bytearray(gzip.decompress(data) if gzipped else data)
    if rng.random() < 0.2:
        return damaged(data, rng, others)
    order = ">" if block[:4] == b"\x00\x00\x01\x5c" else "<"
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at, form = rng.choice(_NIFTI_FIELDS)
        struct.pack_into(order + form, block, at, _odd(form, rng))
    if rng.random() < 0.2:
        block = bytearray(damaged(bytes(block), rng))
    return gzip.compress(bytes(block), 1, mtime=0) if gzipped else bytes(block)


def _odd(form: str, rng: random.Random) -> float:
    if form == "f":
        return rng.choice(_FLOATS) if rng.random() < 0.7 else rng.uniform(-10, 10)
    bits = 8 * struct.calcsize(form)
    value = rng.choice(_INTEGERS) & ((1 << bits) - 1)
    return value - (1 << bits) if form.islower() and value >> (bits - 1) else value


def damaged_json(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Values swapped for odd ones, keys dropped, added and doubled; now and then the text itself is damaged."""
    if rng.random() < 0.1:
        return damaged(data, rng, others)
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        document = _changed(document, rng)
    depth = rng.choice((1, 50, 2000, 100_000))
    return json.dumps(document).replace(_DEEP, "[" * depth + "]" * depth).encode()


def _changed(node: Any, rng: random.Random) -> Any:
    """The node with one change at a random depth."""
    inside = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    if not inside or rng.random() < 0.08:
        return _odd_value(node, rng)
    key = rng.choice(inside)
    if rng.random() < 0.1:
        return _without(node, key)
    if rng.random() < 0.07:
        return {**node, rng.choice(_STRINGS): node[key]} if isinstance(node, dict) else [*node, node[key]]
    changed = _changed(node[key], rng)
    if isinstance(node, dict):
        return {**node, key: changed}
    return [*node[:key], changed, *node[key + 1 :]]


def _without(node: Any, key: Any) -> Any:
    if isinstance(node, dict):
        return {name: value for name, value in node.items() if name != key}
    return node[:key] + node[key + 1 :]


def _odd_value(node: Any, rng: random.Random) -> Any:
    if isinstance(node, (int, float)) and not isinstance(node, bool) and rng.random() < 0.6:
        return rng.choice((-node, node * 1000, node / 1000, node + 1, 0, 10**9, 10**30, 1e-9, 1e300, float("nan"), float("inf")))
    return rng.choice(
        (None, True, {}, [], _DEEP[1:-1], rng.choice(_INTEGERS), rng.choice(_FLOATS), rng.choice(_STRINGS), [node] * 3)
    )


def damaged_zip(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Damage inside the entries of a zip, packed again with right checksums; or names that lead elsewhere; or blind damage."""
    if rng.random() < 0.25:
        return damaged(data, rng, others)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(packed, "w") as target:
        chosen = rng.choice(source.namelist())
        for name in source.namelist():
            content, info = source.read(name), zipfile.ZipInfo(name)
            if name == chosen and rng.random() < 0.6:
                content = (damaged_json if name.endswith(".json") else damaged)(content, rng)
            elif name == chosen:
                info = zipfile.ZipInfo(rng.choice(("../", "/", "sub/", "..\\", "./", "")) + rng.choice((name, "x.onnx", "..")))
                info.external_attr = rng.choice((0o644, 0o120777, 0o40755)) << 16  # a file, a symbolic link, a folder
            target.writestr(info, content, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
            if name == chosen and rng.random() < 0.1:
                target.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()
