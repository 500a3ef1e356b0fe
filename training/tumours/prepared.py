"""One file that the training needs beside PyTorch and NumPy: views in 8 bits a voxel, the organs' network, the configuration.

It travels to a machine with a GPU, which may have nothing else of this project's world: no CTs, no ONNX, no SciPy.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, reason_of
from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.model import strict_json
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.network import SeparableUNet
from flare_trt.training.distil.soft_labels import SoftLabels
from flare_trt.training.distil.views import View
from flare_trt.training.tumours.draw import NamedView

#: What is lent by the minute takes files up to about this size along.
MOST_BYTES = 60 * 2**20
#: HU of the 256 codes: 2 apart in soft tissue, where lesions differ from organs by 20, and far apart in air and bone.
CODE_HU = np.concatenate([np.arange(-1000, -160, 20), np.arange(-160, 240, 2), np.linspace(240, 1500, 14)]).astype(np.float32)


@dataclass(frozen=True)
class Prepared:
    """What the file holds."""

    config: DistilConfig
    views: Sequence[NamedView]
    organs: SeparableUNet


def write_prepared(prepared: Prepared, path: Path) -> None:
    """Write the file; of the views' labels the likeliest class is kept.

    Raises InputError where it is larger than MOST_BYTES; nothing is left then.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, named in enumerate(prepared.views):
        arrays[f"hu {number}"] = codes_of(np.asarray(named.view.image_hu))
        arrays[f"classes {number}"] = np.asarray(named.view.labels.classes[0])
    for name, weight in prepared.organs.state_dict().items():
        arrays[f"organs {name}"] = weight.numpy()
    about = {
        "config": dataclasses.asdict(prepared.config),
        "views": [{"ct": named.ct, "spacing_mm": named.view.spacing_mm} for named in prepared.views],
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with atomic_file(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        size = file.tell()
        if size > MOST_BYTES:
            raise InputError(
                f"{path}: got {size / 2**20:.0f} MiB, expected at most {MOST_BYTES / 2**20:.0f}; take fewer views, one of each CT"
            )


def read_prepared(path: Path) -> Prepared:
    """Read what `write_prepared` wrote. Raises InputError where the file is missing or something else."""
    try:
        with np.load(path) as arrays:
            about = json.loads(arrays["about"].tobytes())
            config = strict_json.parse(json.dumps(about["config"]), DistilConfig, str(path))
            views = [_view(arrays, number, **view) for number, view in enumerate(about["views"])]
            return Prepared(config, views, _organs(arrays, config))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: got {reason_of(error)}, expected a file of 'flare-trt train tumours prepare'") from error


def codes_of(hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The code of the nearest HU of CODE_HU, voxel by voxel."""
    nearest = np.searchsorted((CODE_HU[1:] + CODE_HU[:-1]) / 2, np.arange(-2000, 4001)).astype(np.uint8)
    result: NDArray[np.uint8] = nearest[np.clip(hu, -2000, 4000).astype(np.int64) + 2000]
    return result


def _view(arrays: Mapping[str, NDArray[np.generic]], number: int, ct: str, spacing_mm: Sequence[float]) -> NamedView:
    hu = np.rint(CODE_HU).astype(np.int16)[arrays[f"hu {number}"]]
    classes = np.asarray(arrays[f"classes {number}"], np.uint8)[None]
    labels = SoftLabels(classes, np.full_like(classes, 255))
    z, y, x = spacing_mm
    return NamedView(ct, View(hu, labels, labels, (z, y, x)))


def _organs(arrays: Mapping[str, NDArray[np.generic]], config: DistilConfig) -> SeparableUNet:
    network = SeparableUNet(config.network)
    network.load_state_dict({name: torch.from_numpy(arrays[f"organs {name}"]) for name in network.state_dict()})
    return network
