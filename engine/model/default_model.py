"""The model that comes with the package: engine/model/models/default, a bundle folder with its MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.bundle import SPEC_FILE

DEFAULT_MODEL = Path(__file__).resolve().parent / "models" / "default"


def default_model() -> Path:
    """The bundle's folder. Raises BundleError where this build brings none."""
    if not (DEFAULT_MODEL / SPEC_FILE).is_file():
        raise BundleError(
            "this build of flare-trt brings no default model; name one with --model BUNDLE (flare-trt export makes a bundle "
            "from an nnU-Net v2 folder)"
        )
    return DEFAULT_MODEL
