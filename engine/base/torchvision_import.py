"""Makes nnU-Net's look-up of trainers work beside a CPU torch.

nnU-Net imports torchvision (through timm, for its transformers) when it looks for a trainer by name. PyPI's
torchvision is built for a CUDA torch; beside a CPU torch its operators are missing and its import fails. Naming the operators
is enough: nothing here calls them.
"""

from __future__ import annotations

import sys


def mend_torchvision() -> None:
    """Import torchvision if it is installed; where its operators do not fit the installed torch, name them and import again."""
    import torch

    try:
        import torchvision  # only whether it imports
    except ImportError:
        return
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401  # again, now that its operators have names
