"""JSON <-> frozen dataclasses, strictly: an unknown key, a missing key or a wrong type is an error that names the field.

Keys that a class names as RETIRED are read past: older documents have them, and they mean nothing any more.
"""

from __future__ import annotations

import difflib
import json
import math
import types
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from flare_trt.engine.base.errors import BundleError

T = TypeVar("T")


def parse(text: str, cls: type[T], where: str) -> T:
    """Read a JSON document as `cls`. `where` names the document in errors. Raises BundleError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not valid JSON: {error}") from error
    value: T = _convert(data, cls, where)
    return value


def dump(value: Any) -> str:
    """A frozen dataclass as an indented JSON document that `parse` reads back."""
    return json.dumps(asdict(value), indent=2) + "\n"


def _convert(data: Any, wanted: Any, where: str) -> Any:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        return _convert(data, next(a for a in arguments if a is not type(None)), where)
    if origin is Literal:
        if data not in arguments:
            raise BundleError(f"{where}: got {data!r}, expected one of {', '.join(map(repr, arguments))}")
        return data
    if origin is tuple:
        return _convert_tuple(data, arguments, where)
    if is_dataclass(wanted):
        return _convert_object(data, wanted, where)
    return _convert_scalar(data, wanted, where)


def _convert_tuple(data: Any, arguments: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise BundleError(f"{where}: got {_kind(data)}, expected a list")
    if arguments[-1] is Ellipsis:
        return tuple(_convert(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(data))
    if len(data) != len(arguments):
        raise BundleError(f"{where}: got {len(data)} values, expected {len(arguments)}")
    return tuple(_convert(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(zip(data, arguments, strict=True)))


def _convert_object(data: Any, cls: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise BundleError(f"{where}: got {_kind(data)}, expected an object")
    hints, known = get_type_hints(cls), {field.name: field for field in fields(cls)}
    data = {key: value for key, value in data.items() if key not in getattr(cls, "RETIRED", ())}
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise BundleError(f"{where}: unknown key {key!r}{hint}")
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise BundleError(f"{where}: the key {name!r} is missing")
    return cls(**{key: _convert(value, hints[key], f"{where}.{key}") for key, value in data.items()})


def _convert_scalar(data: Any, wanted: Any, where: str) -> Any:
    if wanted is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        if not math.isfinite(data):
            raise BundleError(f"{where}: got {data}, expected a finite number")
        return float(data)
    if type(data) is not wanted:
        raise BundleError(f"{where}: got {_kind(data)}, expected {wanted.__name__}")
    return data


def _kind(data: Any) -> str:
    return "null" if data is None else f"{type(data).__name__} {str(data)[:40]!r}"
