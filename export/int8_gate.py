"""Which convolutions of a network compute in int8: as many as leave the labels of held-out patches as they are.

Where all of them move a class too far, each is tried alone, and those that harm most stay in floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.model.spec import Check, StageSpec
from flare_trt.engine.networks.device_choice import Placement
from flare_trt.engine.networks.session import open_session
from flare_trt.export.calibration_scans import Patches
from flare_trt.export.int8_onnx import Int8Writer

#: Least Dice of each class to the exact network's labels. Smaller classes do not count: a few voxels on ties move them far.
LEAST_DICE, LEAST_VOXELS = 0.995, 2000
#: With fewer convolutions in int8 a network is hardly quicker.
LEAST_SHARE = 0.5

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Worst:
    """The class whose Dice is least, by its output channel; None and 1 where no class is large enough."""

    channel: int | None
    dice: float

    @property
    def passes(self) -> bool:
        """Whether classes were seen, and all keep their labels."""
        return self.channel is not None and self.dice >= LEAST_DICE


@dataclass(frozen=True)
class Found:
    """What came of a network: `float_layers` of its `layers` stay in floating point; all of them where it has no int8 form."""

    layers: tuple[str, ...]
    float_layers: tuple[str, ...]
    worst: Worst

    @property
    def exists(self) -> bool:
        """Whether there is an int8 form."""
        return self.worst.passes

    def told(self, stage: StageSpec, names: Mapping[int, str]) -> str:
        """It in words, without the network's name."""
        if self.worst.channel is None:
            return f"no int8: no class has {LEAST_VOXELS} voxels in the patches held out; add CTs"
        number = len(self.layers) - len(self.float_layers)
        dice = f"DSC of {class_name(self.worst.channel, stage, names)} to the exact labels {self.worst.dice:.4f}"
        if not self.exists:
            return f"no int8: with {number} of {len(self.layers)} convolutions in it, {dice}, expected at least {LEAST_DICE}"
        kept = f"; in floating point: {', '.join(self.float_layers)}" if self.float_layers else ""
        return f"int8 in {number} of {len(self.layers)} convolutions, least {dice}{kept}"

    def check(self, file: str, stage: StageSpec, names: Mapping[int, str]) -> Check:
        """The measured Dice as a check of the bundle."""
        name = class_name(self.worst.channel or 0, stage, names)
        return Check(f"{file}, held-out patches: 1 - DSC of {name} to the exact labels", 1 - self.worst.dice, 1 - LEAST_DICE)


def class_name(channel: int, stage: StageSpec, names: Mapping[int, str]) -> str:
    """What an output channel stands for."""
    value = stage.channel_values[channel]
    return names.get(value, f"label {value}")


def write_int8_form(source: Path, target: Path, judge: Judge, tell: Tell) -> Found:
    """Write the int8 form of a network with the fewest convolutions left in floating point. Raises ExportError.

    There is a file at `target` afterwards in any case; it passed where the result `exists`.
    """
    writer = Int8Writer(source, judge.patches.calibration, target.parent)
    layers = writer.layers

    def tried(kept: Collection[str]) -> Worst:
        writer.write(target, kept)
        worst = judge.worst(target)
        tell(f"{source.name}: int8 in {len(layers) - len(kept)} of {len(layers)} convolutions: least DSC {worst.dice:.4f}")
        return worst

    found = Found(layers, (), tried(()))
    most = int(len(layers) * (1 - LEAST_SHARE))
    if found.exists or found.worst.channel is None or not most:
        return found
    tell(f"{source.name}: each of {len(layers)} convolutions alone in int8, to find those that harm most")
    harm = {}
    for layer in layers:
        writer.write(target, [other for other in layers if other != layer])
        harm[layer] = judge.harm(target)
    by_harm = sorted(layers, key=harm.__getitem__, reverse=True)
    fewest, enough = 1, most  # bisected: more in floating point never harms, but for chance
    found = Found(layers, tuple(by_harm[:most]), tried(by_harm[:most]))
    while found.exists and fewest < enough:
        middle = (fewest + enough) // 2
        worst = tried(by_harm[:middle])
        if worst.passes:
            enough, found = middle, Found(layers, tuple(by_harm[:middle]), worst)
        else:
            fewest = middle + 1
    writer.write(target, found.float_layers)
    return found


class Judge:
    """Compares networks with the exact one of a stage, each as mode fast runs it, on the patches held out."""

    def __init__(self, source: Path, stage: StageSpec, patches: Patches, placement: Placement) -> None:
        self.patches, self._stage, self._placement = patches, stage, placement
        exact = self._session(source, "fp32")
        self._wanted = [_decided(exact.run(patch), stage) for patch in patches.held_out]
        self._logits = np.array(exact.run(patches.calibration[0]))
        exact.close()

    def worst(self, path: Path) -> Worst:
        """The class that a network moves farthest from the exact labels, of those large enough in either."""
        session = self._session(path)
        counts = np.zeros((3, len(self._stage.channel_values)))
        for patch, wanted in zip(self.patches.held_out, self._wanted, strict=True):
            counts += _counts(wanted, _decided(session.run(patch), self._stage), counts.shape[1])
        session.close()
        both, wanted_voxels, got_voxels = counts
        dice = 2 * both / np.maximum(wanted_voxels + got_voxels, 1)
        counted = np.maximum(wanted_voxels, got_voxels) >= LEAST_VOXELS
        counted &= np.array(self._stage.channel_values) != 0
        if not counted.any():
            return Worst(None, 1.0)
        channel = int(np.argmin(np.where(counted, dice, np.inf)))
        return Worst(channel, float(dice[channel]))

    def harm(self, path: Path) -> float:
        """Mean square of the difference to the exact logits on one patch."""
        session = self._session(path)
        difference = session.run(self.patches.calibration[0]) - self._logits
        session.close()
        return float(np.square(difference).mean())

    def _session(self, path: Path, precision: Any = None) -> Any:
        options = replace(self._placement.session, pairs=False)
        return open_session(self._placement.backend, path, options if precision is None else replace(options, precision=precision))


def _decided(logits: NDArray[np.float32], stage: StageSpec) -> NDArray[Any]:
    """The channel of each voxel; of regions, which may overlap, each channel's mask."""
    return logits > 0 if stage.activation == "regions" else logits.argmax(0).astype(np.uint16)


def _counts(wanted: NDArray[Any], got: NDArray[Any], channels: int) -> NDArray[Any]:
    """Voxels of each channel in both, in the first and in the second."""
    if wanted.dtype == bool:
        return np.array([mask.reshape(channels, -1).sum(axis=1) for mask in (wanted & got, wanted, got)])
    return np.array([np.bincount(voxels.ravel(), minlength=channels) for voxels in (wanted[wanted == got], wanted, got)])
