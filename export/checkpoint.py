"""Loading an nnU-Net checkpoint without running anything in it.

A .pth file is a pickle, and nnU-Net loads it with weights_only=False, which lets the file run code. Here torch's restricted
unpickler reads it. nnU-Net's training log holds NumPy scalars, which that refuses; stand-ins take NumPy's place, so that no
unpickling code of NumPy runs either. Source of the keys: nnunetv2/training/nnUNetTrainer/nnUNetTrainer.py, save_checkpoint.
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import ExportError

_SCALAR_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


@dataclass(frozen=True)
class Checkpoint:
    """What the export needs of a checkpoint. `weights` maps parameter names to torch tensors on the CPU."""

    weights: dict[str, Any]
    configuration: str
    trainer: str
    mirror_axes: tuple[int, ...]


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint_*.pth. Raises ExportError, before anything runs, for a pickle with code in it."""
    import torch

    stand_ins = [
        (_Dtype, "numpy.dtype"),
        (_scalar, "numpy._core.multiarray.scalar"),
        (_scalar, "numpy.core.multiarray.scalar"),
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ExportError(
            f"{path}: holds more than weights and numbers ({_refused(str(error))}), so it was not loaded; expected a checkpoint as "
            "nnU-Net v2 saves it: save network_weights, init_args and trainer_name alone, arrays as torch tensors"
        ) from error
    except Exception as error:  # damaged bytes raise anything; none of it is ours
        raise ExportError(f"{path}: cannot be read as a checkpoint: {type(error).__name__}: {error}") from error
    return _checkpoint(content, path)


def _refused(words: str) -> str:
    """What torch's unpickler met, out of words that advise on torch and colour the terminal."""
    found = re.search(r"GLOBAL ([\w.]+)|NumPy value of type '[^']*'", words)
    return (found[1] or found[0]) if found else "code"


def _checkpoint(content: Any, path: Path) -> Checkpoint:
    weights = _entry(content, "network_weights", path)
    if not isinstance(weights, dict) or not weights or not all(hasattr(value, "shape") for value in weights.values()):
        raise ExportError(f"{path}: network_weights: got something else than named tensors; is this a checkpoint of nnU-Net v2?")
    configuration = _entry(_entry(content, "init_args", path), "configuration", path)
    trainer = _entry(content, "trainer_name", path)
    axes = content.get("inference_allowed_mirroring_axes") or ()
    if not isinstance(configuration, str) or not isinstance(trainer, str):
        raise ExportError(f"{path}: got configuration {configuration!r:.40} and trainer {trainer!r:.40}, expected their names")
    if not isinstance(axes, (tuple, list)) or not set(axes) <= {0, 1, 2}:
        raise ExportError(f"{path}: inference_allowed_mirroring_axes: got {axes!r:.40}, expected axes out of 0, 1, 2")
    return Checkpoint({str(name): value for name, value in weights.items()}, configuration, trainer, tuple(axes))


def _entry(content: Any, key: str, path: Path) -> Any:
    if not isinstance(content, dict) or key not in content:
        raise ExportError(f"{path}: the key {key!r} is missing; is this a checkpoint of nnU-Net v2?")
    return content[key]


class _Dtype:
    """Stands for numpy.dtype while a pickle is read: numbers and booleans only."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if code not in _SCALAR_CODES:
            raise pickle.UnpicklingError(f"a NumPy value of type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    """Stands for numpy's reconstruction of a scalar."""
    return np.frombuffer(data, dtype.dtype, count=1)[0].item()
