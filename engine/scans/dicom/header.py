"""Values of a DICOM header as text and numbers: each is checked when it is needed, and an error names the element that is wrong.

The header's own text is never repeated but where it can only be a number: a damaged length makes a value hold what follows it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np

_UID = r"[0-9.]{1,64}"
_CODE = r"[A-Za-z0-9_ ]{1,16}"
#: A decimal string (PS3.5, section 6.2), which Python's float would take more than.
_DECIMAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
#: What may be shown of a value that is no number.
_NEARLY_A_NUMBER = r"[0-9.,+eE \\-]{1,48}"


class HeaderError(ValueError):
    """A value that is needed and is not what its attribute asks for; the message may be shown."""


def text_of(header: Any, name: str) -> str:
    """A value as it stands in the file, several parted by a backslash; "" for none. Never raises for an odd value."""
    element = header.get_item(name)
    value = None if element is None else element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        text = value.decode("latin-1")
    elif isinstance(value, str) or not hasattr(value, "__iter__"):
        text = str(value)
    else:
        text = "\\".join(str(one) for one in value)
    return text.strip("\0 ")


def uid_of(header: Any, name: str) -> str:
    """A UID, "" for none; for text that is no UID a stand-in that tells it from others and shows nothing of it."""
    text = text_of(header, name)
    if not text or re.fullmatch(_UID, text):
        return text
    return f"invalid:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def is_uid(text: str) -> bool:
    """Whether `uid_of` found a UID."""
    return re.fullmatch(_UID, text) is not None


def code_of(header: Any, name: str) -> str:
    """A code string, "" for none, "unknown" for what cannot be one."""
    text = text_of(header, name)
    return text if not text or re.fullmatch(_CODE, text) else "unknown"


def decimals(header: Any, name: str, count: int) -> tuple[float, ...]:
    """So many finite numbers. Raises HeaderError."""
    element = header.get_item(name)
    if element is not None and element.VR in ("FD", "FL"):
        values = np.ravel(header[name].value).astype(float).tolist()
    else:
        text = text_of(header, name)
        words = [word.strip() for word in text.split("\\")]
        if not all(re.fullmatch(_DECIMAL, word) for word in words):
            raise HeaderError(f"{name} {_shown(text)}, expected {_expected(count)}; correct the header")
        values = [float(word) for word in words]
    if len(values) != count or not np.isfinite(values).all():
        raise HeaderError(
            f"{name} holds {len(values)} numbers or none that is finite, expected {_expected(count)}; correct the header"
        )
    return tuple(values)


def decimal(header: Any, name: str) -> float | None:
    """One finite number, None for none. Raises HeaderError."""
    return decimals(header, name, 1)[0] if text_of(header, name) else None


def whole(header: Any, name: str) -> int:
    """A whole number (VR US or IS). Raises HeaderError."""
    try:
        return int(header[name].value)
    except (KeyError, ValueError, TypeError):
        raise HeaderError(f"{name} is missing or no whole number; correct the header") from None


def _expected(count: int) -> str:
    return "a number with a decimal point" if count == 1 else f"{count} numbers with a decimal point"


def _shown(text: str) -> str:
    return f'holds "{text}"' if re.fullmatch(_NEARLY_A_NUMBER, text) else "holds no number"
