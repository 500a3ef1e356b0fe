"""Nodes and float weights of an ONNX file, read from its bytes: the runtime does not depend on the onnx package.

Field numbers are those of onnx.proto; float32 and float16 tensors with raw data are read, others are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.onnx_file import message_fields, varint

Floats = NDArray[np.float32]
Field = tuple[int, int, int, int]
_FLOAT_TYPES: dict[int, str] = {1: "<f4", 10: "<f2"}
_VARINT, _BYTES = 0, 2


@dataclass(frozen=True)
class Node:
    """One operation; `numbers` are its attributes: integers as tuples, single ones too, and floats."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: Mapping[str, tuple[int, ...] | float]

    def ints(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute of integers."""
        found = self.numbers.get(name, default)
        return found if isinstance(found, tuple) else default


@dataclass(frozen=True)
class OnnxGraph:
    """A graph with one input; `shape` is the input's, 0 for a free axis."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, Floats]
    image: str
    shape: tuple[int, ...]
    outputs: tuple[str, ...]


def read_graph(path: Path) -> OnnxGraph:
    """Read a file. Raises BundleError where it is no ONNX file."""
    data = memoryview(path.read_bytes())
    try:
        (graph,) = [(low, high) for field, kind, low, high in message_fields(data, 0, len(data)) if (field, kind) == (7, _BYTES)]
        fields = list(message_fields(data, *graph))
        weights = dict(_weight(data, low, high) for low, high in _messages(fields, 5))
        inputs = [_value_info(data, low, high) for low, high in _messages(fields, 11)]
        images = [(name, shape) for name, shape in inputs if name not in weights]
        return OnnxGraph(
            nodes=tuple(_node(data, low, high) for low, high in _messages(fields, 1)),
            weights={name: weight for name, weight in weights.items() if weight is not None},
            image=images[0][0],
            shape=images[0][1],
            outputs=tuple(_value_info(data, low, high)[0] for low, high in _messages(fields, 12)),
        )
    except (IndexError, ValueError, struct.error) as error:
        raise BundleError(f"{path.name}: is no ONNX file with a graph ({error}); export it again") from error


def _messages(fields: list[Field], number: int) -> Iterator[tuple[int, int]]:
    return ((low, high) for field, kind, low, high in fields if (field, kind) == (number, _BYTES))


def _text(data: memoryview, low: int, high: int) -> str:
    return bytes(data[low:high]).decode("utf-8")


def _node(data: memoryview, start: int, stop: int) -> Node:
    fields = list(message_fields(data, start, stop))
    op = "".join(_text(data, low, high) for low, high in _messages(fields, 4))
    inputs, outputs = (tuple(_text(data, low, high) for low, high in _messages(fields, number)) for number in (1, 2))
    return Node(op, inputs, outputs, dict(_attribute(data, low, high) for low, high in _messages(fields, 5)))


def _attribute(data: memoryview, start: int, stop: int) -> tuple[str, tuple[int, ...] | float]:
    name, ints, real = "", list[int](), None
    for field, kind, low, high in message_fields(data, start, stop):
        if (field, kind) == (1, _BYTES):
            name = _text(data, low, high)
        elif field == 2:
            (real,) = struct.unpack_from("<f", data, low)
        elif field in (3, 8) and kind == _VARINT:
            ints.append(low)
        elif field == 8:
            ints += _packed(data, low, high)
    return name, tuple(ints) if real is None or ints else real


def _packed(data: memoryview, start: int, stop: int) -> Iterator[int]:
    at = start
    while at < stop:
        value, at = varint(data, at, stop)
        yield value


def _weight(data: memoryview, start: int, stop: int) -> tuple[str, Floats | None]:
    name, kind_of_data, sizes, raw = "", 0, list[int](), b""
    for field, kind, low, high in message_fields(data, start, stop):
        if (field, kind) == (1, _VARINT):
            sizes.append(low)
        elif field == 1:
            sizes += _packed(data, low, high)
        elif (field, kind) == (2, _VARINT):
            kind_of_data = low
        elif (field, kind) == (8, _BYTES):
            name = _text(data, low, high)
        elif (field, kind) == (9, _BYTES):
            raw = bytes(data[low:high])
    if kind_of_data not in _FLOAT_TYPES or not raw:
        return name, None
    values: Floats = np.frombuffer(raw, np.dtype(_FLOAT_TYPES[kind_of_data])).reshape(sizes).astype(np.float32)
    return name, values


def _value_info(data: memoryview, start: int, stop: int) -> tuple[str, tuple[int, ...]]:
    """The name of an input or output, and its shape."""
    name, shape = "", list[int]()
    for field, kind, low, high in message_fields(data, start, stop):
        if (field, kind) == (1, _BYTES):
            name = _text(data, low, high)
        for tensor in _inside(data, [(low, high)] if (field, kind) == (2, _BYTES) else [], 1):
            for sizes in _inside(data, [tensor], 2):
                for size in _inside(data, [sizes], 1):
                    shape.append(sum(low for field, kind, low, _ in message_fields(data, *size) if (field, kind) == (1, _VARINT)))
    return name, tuple(shape)


def _inside(data: memoryview, messages: list[tuple[int, int]], number: int) -> Iterator[tuple[int, int]]:
    for start, stop in messages:
        yield from _messages(list(message_fields(data, start, stop)), number)
