"""Text and JSON results, written whole or not at all."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from flare_trt.engine.base.atomic_file import atomic_file

#: A list of numbers and nulls over several lines. Text holds no line breaks in JSON, so this is never inside of one.
_NUMBERS = re.compile(r"\[\n[\d\s.,eE+\-nul]*\]")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all. Raises OutputError."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON that every reader takes: NaN and infinity, which JSON has not, become null. Lists of numbers take one line."""
    text = json.dumps(_finite(value), indent=1, allow_nan=False)
    write_text(path, _NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
