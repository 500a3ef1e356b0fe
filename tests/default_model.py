"""The default model for tests that depend on its weights, and the skip for a checkout without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.default_model import default_model
from flare_trt.engine.errors import BundleError


def default_bundle() -> Path:
    """The default model's folder; skips the calling test, with a word, where the checkout has none."""
    try:
        return default_model()
    except BundleError as error:
        pytest.skip(str(error))
