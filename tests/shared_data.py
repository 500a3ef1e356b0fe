"""Where the real CTs lie (beside the checkout, or where FLARE_TRT_SHARED says), and the skip for machines without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FLARE_TRT_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"


def shared_file(*parts: str) -> Path:
    """A file of the shared data; skips the calling test, with a word, where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the shared data file {'/'.join(parts)} is not on this machine")
    return path
