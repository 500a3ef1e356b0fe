"""JSON that somebody else wrote: nnU-Net's plans.json and dataset.json, read by key with errors that name the key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flare_trt.engine.base.errors import ExportError

T = TypeVar("T")


@dataclass(frozen=True)
class JsonObject:
    """A JSON object and where it stands ("plans.json: configurations.3d_fullres")."""

    data: dict[str, Any]
    where: str

    def get(self, key: str, kind: type[T]) -> T:
        """The value of a key that must be there with this type. Raises ExportError."""
        if key not in self.data:
            raise ExportError(f"{self.where}: the key {key!r} is missing; is this a folder of nnU-Net v2?")
        value = self.data[key]
        if not isinstance(value, kind):
            raise ExportError(f"{self.where}.{key}: got {value!r:.60}, expected {kind.__name__}")
        return value

    def child(self, key: str) -> JsonObject:
        """The object of a key."""
        return JsonObject(self.get(key, dict), f"{self.where}.{key}")

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.get(key, object)
        if not _is_number(value):
            raise ExportError(f"{self.where}.{key}: got {value!r:.60}, expected a finite number")
        return float(value)  # type: ignore[arg-type]  # a number, known

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        values = self.get(key, list)
        if not all(_is_number(v) for v in values):
            raise ExportError(f"{self.where}.{key}: got {values!r:.60}, expected a list of finite numbers")
        return tuple(values)

    def triple(self, key: str) -> tuple[float, float, float]:
        """Three numbers, one a spatial axis."""
        values = self.numbers(key)
        if len(values) != 3:
            raise ExportError(f"{self.where}.{key}: got {len(values)} values, expected 3; only 3-D configurations can be exported")
        return values[0], values[1], values[2]

    def sizes(self, key: str) -> tuple[int, int, int]:
        """Three whole numbers, one a spatial axis."""
        z, y, x = self.triple(key)
        if not all(float(size).is_integer() for size in (z, y, x)):
            raise ExportError(f"{self.where}.{key}: got {[z, y, x]}, expected whole numbers")
        return int(z), int(y), int(x)


def _is_number(value: object) -> bool:
    """JSON's numbers as Python reads them: big ones may leave a float's range, and NaN is let through."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) < 1e30  # NaN is not


def read_object(path: Path) -> JsonObject:
    """Read a file that holds one JSON object. Raises ExportError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror}); expected a trained nnU-Net v2 model folder") from error
    return parse_object(text, path)


def parse_object(text: bytes, path: Path) -> JsonObject:
    """The JSON object that a file holds. Raises ExportError, naming the file."""
    try:
        data = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise ExportError(f"{path}: got a {type(data).__name__}, expected a JSON object")
    return JsonObject(data, path.name)
