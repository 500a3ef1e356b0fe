"""Whether an ONNX file holds all its weights itself, read from the bytes alone.

The runtime does not depend on the onnx package, and a file that names other files on the disk must be refused before a
backend opens it: the checksum in bundle.json would not cover what those files hold. So this walks the protobuf wire format
(https://protobuf.dev/programming-guides/encoding/) along the fields of onnx.proto that can hold a tensor.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from flare_trt.engine.base.errors import BundleError

#: Message of onnx.proto -> its fields that can lead to a TensorProto (field number -> message).
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {},
}
_EXTERNAL_FIELDS = (13, 14)  # of TensorProto: external_data, data_location
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Bytes = mmap.mmap | memoryview


def require_embedded_weights(path: Path, where: str) -> None:
    """Check that `path` is an ONNX file with a graph whose tensors all lie in the file. Raises BundleError."""
    if path.stat().st_size == 0:
        raise BundleError(f"{where}: {path.name} is empty, expected an ONNX file")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            graphs, external = _scan(data)
        except (IndexError, ValueError) as error:
            raise BundleError(f"{where}: {path.name} is not an ONNX file ({error}); export it again") from error
    if external:
        raise BundleError(
            f"{where}: {path.name} keeps weights in other files, expected all weights embedded; save it again without external data"
        )
    if not graphs:
        raise BundleError(f"{where}: {path.name} is not an ONNX file (it holds no graph); export it again")


def _scan(data: mmap.mmap) -> tuple[int, bool]:
    """Number of graphs, and whether any tensor is external. Raises IndexError or ValueError for malformed bytes."""
    graphs, pending = 0, [("model", 0, len(data))]
    while pending:
        message, start, stop = pending.pop()
        graphs += message == "graph"
        for field, kind, low, high in message_fields(data, start, stop):
            if message == "tensor" and field in _EXTERNAL_FIELDS and (field == 13 or low != 0):
                return graphs, True
            child = _CHILDREN[message].get(field)
            if child is not None:
                if kind != _BYTES:
                    raise ValueError(f"field {field} of a {message} has wire type {kind}")
                pending.append((child, low, high))
    return graphs, False


def message_fields(data: Bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """(field, wire type, first byte, end) of each field of a message; a varint's value stands in place of its first byte.

    Raises IndexError or ValueError for malformed bytes.
    """
    at = start
    while at < stop:
        key, at = varint(data, at, stop)
        field, kind = key >> 3, key & 7
        low = high = at
        if kind == _VARINT:
            low, high = varint(data, at, stop)
        elif kind == _BYTES:
            size, low = varint(data, at, stop)
            high = low + size
        elif kind in (_FIXED64, _FIXED32):
            high = at + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if field == 0 or high > stop:
            raise ValueError(f"a field that leaves its message at byte {at}")
        yield field, kind, low, high
        at = high


def varint(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """A base-128 number and the byte behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise ValueError(f"a number that is cut off at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number of more than ten bytes at byte {at}")
