"""The models that come with the package: bundle folders in engine/model/models, each with its MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.bundle import SPEC_FILE

MODELS = Path(__file__).resolve().parent / "models"
DEFAULT_MODEL = MODELS / "default"
#: Taken where the command line's --model names it and nothing of that name lies in the working folder: organs and tumours.
TUMOUR_MODEL = MODELS / "tumours"
#: What a command's --model takes, in its help.
MODEL_HELP = (
    f"a model bundle: a folder or a .zip; or {TUMOUR_MODEL.name}, the package's second model, which looks for tumours too; "
    "default: the package's first, organs alone"
)


def default_model() -> Path:
    """The bundle's folder. Raises BundleError where this build brings none."""
    if not (DEFAULT_MODEL / SPEC_FILE).is_file():
        raise BundleError(
            "this build of flare-trt brings no default model; name one with --model BUNDLE (flare-trt export makes a bundle "
            "from an nnU-Net v2 folder)"
        )
    return DEFAULT_MODEL


def named_model(text: str) -> Path:
    """The bundle that --model names: a path, or a model of the package by its name."""
    path = Path(text)
    return TUMOUR_MODEL if text == TUMOUR_MODEL.name and not path.exists() else path
