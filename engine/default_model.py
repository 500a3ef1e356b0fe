"""The model that comes with the package: engine/models/default, a bundle folder with its MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.bundle import SPEC_FILE
from flare_trt.engine.errors import BundleError

DEFAULT_MODEL = Path(__file__).resolve().parent / "models" / "default"


def default_model() -> Path:
    """The bundle's folder. Raises BundleError where this build brings none."""
    if not (DEFAULT_MODEL / SPEC_FILE).is_file():
        raise BundleError(
            "this build of flare-trt brings no default model; name one with --model BUNDLE (flare-trt export makes a bundle "
            "from an nnU-Net v2 folder)"
        )
    return DEFAULT_MODEL
