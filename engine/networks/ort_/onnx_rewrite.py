"""Exchanging nodes in an ONNX file's bytes without the package onnx, which the runtime does not depend on.

Everything else is copied byte for byte. The wire format is protobuf's (https://protobuf.dev/programming-guides/encoding/), the
field numbers are those of onnx.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flare_trt.engine.model.onnx_file import message_fields

_MODEL_GRAPH, _MODEL_OPSETS = 7, 8
_GRAPH_NODE, _GRAPH_WEIGHT = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_FLOAT, _INT64, _INTS = 1, 7, 7  # AttributeProto.FLOAT, TensorProto.INT64, AttributeProto.INTS


Part = bytes | memoryview


@dataclass(frozen=True)
class Node:
    """An operator with its inputs, outputs, and the attributes that are one float or a list of whole numbers."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    floats: dict[str, float] = field(default_factory=dict)
    ints: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A graph's nodes in order, and the rank of each weight. `opset` is that of the standard operators."""

    opset: int
    nodes: tuple[Node, ...]
    weight_ranks: dict[str, int]


@dataclass(frozen=True)
class Change:
    """Index of a node -> the nodes in its place, and the whole-number vectors that these read."""

    nodes: Mapping[int, Sequence[Node]]
    vectors: Mapping[str, tuple[int, ...]]


def rewrite(model: memoryview, change: Callable[[Graph], Change]) -> Sequence[Part]:
    """The model's bytes with nodes exchanged, in pieces that follow each other: no second copy of the weights is made.

    Raises IndexError or ValueError for malformed bytes.
    """
    graph, opset = model[:0], 0
    for number, _, low, high in message_fields(model, 0, len(model)):
        if number == _MODEL_GRAPH:
            graph = model[low:high]
        elif number == _MODEL_OPSETS:
            opset = max(opset, _standard_opset(model, low, high))
    wanted = change(_read_graph(graph, opset))
    new = {index: [_message(_GRAPH_NODE, _node(node)) for node in nodes] for index, nodes in wanted.nodes.items()}
    vectors = [_message(_GRAPH_WEIGHT, _vector(name, values)) for name, values in wanted.vectors.items()]
    changed = [*_exchanged(graph, _GRAPH_NODE, new), *vectors]
    return _exchanged(model, _MODEL_GRAPH, {0: [_header(_MODEL_GRAPH, sum(map(len, changed))), *changed]})


def _exchanged(message: memoryview, number: int, new: Mapping[int, Sequence[Part]]) -> list[Part]:
    """The message with its i-th field of this number exchanged for new[i], which begins with the field's key."""
    parts: list[Part] = []
    at = index = 0
    for found, _, _, high in message_fields(message, 0, len(message)):
        parts += new.get(index, [message[at:high]]) if found == number else [message[at:high]]
        index += found == number
        at = high
    return parts


def _standard_opset(data: memoryview, start: int, stop: int) -> int:
    """The version of one OperatorSetIdProto; 0 where it is not of the standard operators."""
    version = 0
    for number, _, low, high in message_fields(data, start, stop):
        if number == 1 and _text(data[low:high]) not in ("", "ai.onnx"):
            return 0
        version = low if number == 2 else version
    return version


def _read_graph(data: memoryview, opset: int) -> Graph:
    nodes, ranks = [], {}
    for number, _, low, high in message_fields(data, 0, len(data)):
        if number == _GRAPH_NODE:
            nodes.append(_read_node(data, low, high))
        elif number == _GRAPH_WEIGHT:
            name, rank = _read_weight(data, low, high)
            ranks[name] = rank
    return Graph(opset, tuple(nodes), ranks)


def _read_node(data: memoryview, start: int, stop: int) -> Node:
    inputs, outputs, op, floats = [], [], "", {}
    for number, _, low, high in message_fields(data, start, stop):
        if number == _NODE_INPUT:
            inputs.append(_text(data[low:high]))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(data[low:high]))
        elif number == _NODE_OP:
            op = _text(data[low:high])
        elif number == _NODE_ATTRIBUTE:
            floats.update(_read_float(data, low, high))
    return Node(op, tuple(inputs), tuple(outputs), floats)


def _read_float(data: memoryview, start: int, stop: int) -> dict[str, float]:
    name, value = "", None
    for number, _, low, high in message_fields(data, start, stop):
        if number == 1:
            name = _text(data[low:high])
        elif number == 2:
            value = struct.unpack("<f", data[low:high])[0]
    return {} if value is None else {name: value}


def _read_weight(data: memoryview, start: int, stop: int) -> tuple[str, int]:
    name, rank = "", 0
    for number, kind, low, high in message_fields(data, start, stop):
        if number == 1:  # dims: one field each, or packed into one
            rank += 1 if kind == 0 else sum(byte < 0x80 for byte in data[low:high])
        elif number == 8:
            name = _text(data[low:high])
    return name, rank


def _node(node: Node) -> bytes:
    parts = [_message(_NODE_INPUT, name.encode()) for name in node.inputs]
    parts += [_message(_NODE_OUTPUT, name.encode()) for name in node.outputs]
    parts.append(_message(_NODE_OP, node.op.encode()))
    for name, value in node.floats.items():
        attribute = _message(1, name.encode()) + b"\x15" + struct.pack("<f", value) + _number(20, _FLOAT)
        parts.append(_message(_NODE_ATTRIBUTE, attribute))
    for name, values in node.ints.items():
        attribute = _message(1, name.encode()) + b"".join(_number(8, value) for value in values) + _number(20, _INTS)
        parts.append(_message(_NODE_ATTRIBUTE, attribute))
    return b"".join(parts)


def _vector(name: str, values: tuple[int, ...]) -> bytes:
    """A TensorProto of int64."""
    raw = struct.pack(f"<{len(values)}q", *values)
    return _number(1, len(values)) + _number(2, _INT64) + _message(8, name.encode()) + _message(9, raw)


def _text(data: memoryview) -> str:
    return bytes(data).decode()


def _message(number: int, payload: bytes) -> bytes:
    return _header(number, len(payload)) + payload


def _header(number: int, size: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(size)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value % (1 << 64))


def _varint(value: int) -> bytes:
    low = bytearray()
    while value >= 0x80:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(low + bytes([value]))
