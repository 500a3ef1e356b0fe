"""A torch network as an ONNX file: static shape, one input "image" (1, c, z, y, x), one output "logits" (1, c, z, y, x).

torch has two exporters. The older one, through TorchScript, is used: for these networks it writes the same operators
(InstanceNormalization stays one) in a third of the time, keeps the parameters' names, and leaves no source paths and stack
traces in the file. See docs/decisions/onnx-exporter.md.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import ExportError

OPSET = 17


def write_onnx(network: Any, patch_zyx: tuple[int, int, int], path: Path, channels: int = 1) -> None:
    """Export a network in evaluation mode. Raises ExportError."""
    import torch

    image = torch.zeros(1, channels, *patch_zyx)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # about the exporter's age, and instance norms "in training mode" (they have no other)
            torch.onnx.export(
                network, (image,), str(path), opset_version=OPSET, dynamo=False, input_names=["image"], output_names=["logits"]
            )
    except Exception as error:  # torch raises many classes for a shape that does not fit or a file that cannot be written
        raise ExportError(f"{path.name}: torch cannot export the network at patch {patch_zyx}: {error}") from error
