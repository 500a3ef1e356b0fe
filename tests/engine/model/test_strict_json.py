"""JSON of frozen values: what is not exactly as declared is an error that names the place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.strict_json import dump, parse


@dataclass(frozen=True)
class Inner:
    RETIRED: ClassVar[frozenset[str]] = frozenset({"old"})

    size: tuple[int, int]
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    share: float
    parts: tuple[Inner, ...] = ()
    limit: int | None = None


GOOD: dict[str, Any] = {"kind": "a", "share": 1, "parts": [{"size": [1, 2]}, {"size": [3, 4], "name": "y"}], "limit": None}


def test_what_is_written_is_read_back() -> None:
    value = parse(json.dumps(GOOD), Outer, "doc")
    assert value == Outer("a", 1.0, (Inner((1, 2)), Inner((3, 4), "y")))
    assert parse(dump(value), Outer, "doc") == value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "c"}, r"doc.kind: got 'c', expected one of 'a', 'b'"),
        ({"shares": 1}, r"doc: unknown key 'shares'; did you mean 'share'"),
        ({"share": True}, r"doc.share: got bool"),
        ({"share": "1"}, r"doc.share: got str"),
        ({"share": float("inf")}, r"doc.share: got inf, expected a finite number"),
        ({"limit": 1.0}, r"doc.limit: got float '1.0', expected int"),
        ({"parts": {}}, r"doc.parts: got dict"),
        ({"parts": [{"size": [1]}]}, r"doc.parts\[0\].size: got 1 values, expected 2"),
        ({"parts": [{"size": [1, 2.5]}]}, r"doc.parts\[0\].size\[1\]: got float"),
        ({"parts": [{"name": "z"}]}, r"doc.parts\[0\]: the key 'size' is missing"),
        ({"parts": [7]}, r"doc.parts\[0\]: got int '7', expected an object"),
    ],
)
def test_each_fault_names_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BundleError, match=words):
        parse(json.dumps(GOOD | change), Outer, "doc")


def test_retired_keys_are_read_past_and_never_written() -> None:
    document = GOOD | {"parts": [{"size": [1, 2], "old": {"any": "thing"}}]}
    value = parse(json.dumps(document), Outer, "doc")
    assert value.parts == (Inner((1, 2)),)
    assert "old" not in dump(value)
    with pytest.raises(BundleError, match="unknown key 'old'"):
        parse(json.dumps(GOOD | {"old": 1}), Outer, "doc")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nul"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="doc: not valid JSON"):
        parse(text, Outer, "doc")
