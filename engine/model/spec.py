"""What a bundle says about its model: frozen values, read from and written to strict JSON (`strict_json.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.base.label_types import MOST_LABEL, label_dtype
from flare_trt.engine.base.organs import STRUCTURES
from flare_trt.engine.model.afterwards_spec import ComponentRule, LesionGates, require_afterwards
from flare_trt.engine.model.channel_spec import ChannelSpec, LabelInput, require_field
from flare_trt.kernels import Intensity

#: Version of the bundle format. A reader refuses a newer one and still opens each older one.
SCHEMA = 2

#: Smallest and largest voxel that a network may ask for, mm: finer ones would make a scan of any size endless.
SPACING_MM = (0.1, 50.0)

Triple = tuple[int, int, int]
#: nnU-Net's image readers; "" is not known. The Nibabel ones take a NIfTI header's affine as nibabel does, the others as ITK.
ImageReader = Literal["", "SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient"]


@dataclass(frozen=True)
class LabelSpec:
    """One class of the output. `colour` is "#rrggbb"."""

    value: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        require_field(re.fullmatch("#[0-9a-fA-F]{6}", self.colour) is not None, "colour", repr(self.colour), "#rrggbb")


@dataclass(frozen=True)
class NetworkFile:
    """An ONNX file of the bundle. Several in a stage are folds whose logits are averaged. `write_bundle` fills `sha256` in."""

    file: str
    sha256: str = ""


@dataclass(frozen=True)
class FastSpec:
    """What a mode that takes a bundle's fast settings changes in a stage; None leaves the exact value.

    `networks`, one a fold, are calibrated int8 forms of the stage's own; where a fold has none, its own stands in its place.
    Bundles written before November 2026 may also name a tile step and an image order: both lost labels and saved no time
    (benchmarks/LOG.md, "Tricks on the same scan"), so they are read past.
    """

    RETIRED: ClassVar[frozenset[str]] = frozenset({"tile_step", "image_order"})

    spacing_mm: tuple[float, float, float] | None = None
    networks: tuple[NetworkFile, ...] | None = None


@dataclass(frozen=True)
class StageSpec:
    """One network pass (coarse or fine). Triples are in the network's axis order, after `transpose_forward`.

    `orientation` is the scan's array orientation, (z, y, x), that the network was trained on, or "as-stored" for nnU-Net's
    SimpleITK reader, which never reorients. `reader` is the one that the network's scans came through.
    `intensity` is that of a network of one CT; any other has null there and describes its inputs in `channels` (read `inputs`).
    `channel_values[c]` is the label that output channel c stands for; with
    activation "regions" channels are painted in that order where their logit is > 0
    (nnunetv2/utilities/label_handling/label_handling.py). `separate_z` None lets nnU-Net's anisotropy rule decide. `slices` is
    nnU-Net's 2d: the patch is one slice, and a scan keeps its own spacing along the first axis, so that spacing_mm[0] says nothing.
    Where not `resampled`, a scan keeps its spacing (no_resampling_hack); `half_logits`: interpolated logits are rounded to float16.
    `previous` is what a network of nnU-Net's cascade sees of the labels of the stage before it. The second channel of a
    `strong_label` has the voxels that surely are of it (LesionGates).
    """

    networks: tuple[NetworkFile, ...]
    spacing_mm: tuple[float, float, float]
    patch_zyx: Triple
    intensity: Intensity | None
    channel_values: tuple[int, ...]
    channels: tuple[ChannelSpec, ...] = ()
    previous: LabelInput | None = None
    activation: Literal["argmax", "regions"] = "argmax"
    orientation: str = "as-stored"
    reader: ImageReader = ""
    transpose_forward: Triple = (0, 1, 2)
    image_order: int = 3
    image_order_z: int = 0
    logits_order: int = 1
    logits_order_z: int = 0
    separate_z: bool | None = None
    resampled: bool = True
    half_logits: bool = True
    slices: bool = False
    crop_nonzero: bool = True
    tile_step: float = 0.5
    mirror_axes: tuple[int, ...] = ()
    strong_label: int | None = None
    fast: FastSpec = FastSpec()

    def __post_init__(self) -> None:
        require_field(bool(self.networks), "networks", "[]", "at least one network file")
        folds = len(self.fast.networks or self.networks)
        require_field(folds == len(self.networks), "fast.networks", folds, f"one a fold, {len(self.networks)}")
        for spacing_mm in (self.spacing_mm, self.fast.spacing_mm or self.spacing_mm):
            fits = min(spacing_mm) >= SPACING_MM[0] and max(spacing_mm) <= SPACING_MM[1]
            require_field(fits, "spacing_mm", spacing_mm, f"three numbers from {SPACING_MM[0]:g} to {SPACING_MM[1]:g} mm")
        require_field(not self.slices or self.patch_zyx[0] == 1, "patch_zyx", self.patch_zyx, "one slice")
        require_field(min(self.patch_zyx) > 0, "patch_zyx", self.patch_zyx, "three positive sizes")
        fits = sorted(self.transpose_forward) == [0, 1, 2]
        require_field(fits, "transpose_forward", self.transpose_forward, "a permutation of 0, 1, 2")
        require_field(self.image_order in (0, 1, 3), "image_order", self.image_order, "0, 1 or 3")
        require_field(self.image_order_z in (0, 1), "image_order_z", self.image_order_z, "0 or 1")
        require_field(self.logits_order in (0, 1), "logits_order", self.logits_order, "0 or 1")
        require_field(self.logits_order_z in (0, 1), "logits_order_z", self.logits_order_z, "0 or 1")
        require_field(0 < self.tile_step <= 1, "tile_step", self.tile_step, "a share of the patch in (0, 1]")
        require_field(set(self.mirror_axes) <= {0, 1, 2}, "mirror_axes", self.mirror_axes, "axes out of 0, 1, 2")
        require_field(len(self.channel_values) >= 1, "channel_values", self.channel_values, "one label value an output channel")
        fits = all(0 <= value <= MOST_LABEL for value in self.channel_values)
        require_field(fits, "channel_values", self.channel_values, f"labels 0..{MOST_LABEL}")
        fits = self.strong_label is None or self.channel_values.count(self.strong_label) == 2
        require_field(fits, "strong_label", self.strong_label, "a label of two channels")
        require_field((self.intensity is None) == bool(self.channels), "channels", self.channels, "some, or an intensity, not both")
        names = [channel.name for channel in self.inputs]
        require_field(len(set(names)) == len(names), "channels", names, "each name once")

    @property
    def inputs(self) -> tuple[ChannelSpec, ...]:
        """The input channels in the network's order."""
        return self.channels or (ChannelSpec("CT", "ct", self.intensity),)

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The type of its label maps."""
        return label_dtype(self.raster_values)

    @property
    def strong_value(self) -> int | None:
        """What the network's own label map holds where `strong_label` is surest."""
        return None if self.strong_label is None else max(self.channel_values) + 1

    @property
    def raster_values(self) -> tuple[int, ...]:
        """What that map holds for each channel: `channel_values`, and `strong_value`."""
        found = self.channel_values
        if self.strong_value is None:
            return found
        second = found.index(self.strong_label, found.index(self.strong_label) + 1)
        return (*found[:second], self.strong_value, *found[second + 1 :])

    @property
    def input_channels(self) -> int:
        """Channels of the network's input: the scan's, and those of the stage before."""
        return len(self.inputs) + (len(self.previous.values) if self.previous else 0)

    def step_along(self, axis: int) -> float:
        """`tile_step` of an axis; slices follow each other without an overlap."""
        return 1.0 if self.slices and axis == 0 else self.tile_step

    @property
    def spacing_told(self) -> str:
        """Its voxels in words."""
        first = "own" if self.slices else f"{self.spacing_mm[0]:g}"
        return " x ".join([first, *(f"{mm:g}" for mm in self.spacing_mm[1:])])

    @property
    def of_one_ct(self) -> Intensity:
        """The intensity of a network that takes one CT. Raises BundleError for any other."""
        if self.intensity is None:
            names = ", ".join(channel.name for channel in self.channels)
            raise BundleError(f"bundle.json: got a model of {names}, expected one of a CT alone: this is done with CT models only")
        return self.intensity


@dataclass(frozen=True)
class RoiSpec:
    """Where the fine stage looks: the coarse labels' box and this margin on the low and high side of each axis, mm."""

    margin_low_mm: tuple[float, float, float] = (20.0, 20.0, 20.0)  # paper, section 2.2
    margin_high_mm: tuple[float, float, float] = (20.0, 20.0, 20.0)


@dataclass(frozen=True)
class Check:
    """One thing that the export measured on what it wrote, and the limit that it had to keep."""

    name: str
    measured: float
    limit: float


@dataclass(frozen=True)
class BarredBackend:
    """A network backend that missed a limit of the export's checks on this bundle, and which one: it never runs it."""

    backend: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from. `licence` is the weights', not the code's; the export fills the rest in.

    `checked` is how the ONNX files were compared with the trained networks: "full" with two images on each CPU backend, "quick"
    with one on the default backend alone. `network_from` is what nnU-Net's networks were built by: the "trainer" class, or
    plans.json alone, because the class is known to follow it ("known trainer") or by the user's word ("plans"). `int8` says, one
    line a network, what calibration came to: how many convolutions of its fast form are int8, or why it has none.
    """

    source: str
    licence: str
    exported_by: str = ""
    checks: tuple[Check, ...] = ()
    checked: Literal["", "quick", "full"] = ""
    network_from: Literal["", "trainer", "known trainer", "plans"] = ""
    int8: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSpec:
    """A whole bundle: one stage (fine) or two (coarse finds the ROI in which fine segments, or gives its `previous` labels).

    The rules of `postprocessing` are applied to the labels in this order; with none the labels are the network's.
    """

    schema: int
    name: str
    labels: tuple[LabelSpec, ...]
    fine: StageSpec
    provenance: Provenance
    coarse: StageSpec | None = None
    roi: RoiSpec = RoiSpec()
    barred: tuple[BarredBackend, ...] = ()
    postprocessing: tuple[ComponentRule, ...] = ()
    lesion_gates: LesionGates | None = None

    def __post_init__(self) -> None:
        require_field(1 <= self.schema <= SCHEMA, "schema", self.schema, f"a version up to {SCHEMA}; update flare-trt")
        values = [label.value for label in self.labels]
        require_field(len(set(values)) == len(values), "labels", values, "each value once")
        require_field(0 not in values, "labels", values, f"values 1..{MOST_LABEL} (0 is the background)")
        known = {0, *values}
        require_afterwards(self.postprocessing, self.lesion_gates, values, self.fine.strong_label)
        if self.fine.previous is not None:
            found = self.coarse.channel_values if self.coarse is not None and self.coarse.previous is None else ()
            fits = bool(found) and {*found} <= {0, *self.fine.previous.values}
            require_field(fits, "fine.previous.values", self.fine.previous.values, f"the labels of a coarse stage: {found}")
        if self.coarse is not None:
            names = tuple(channel.name for channel in self.coarse.inputs)
            require_field(names == self.input_names, "coarse.channels", names, f"those of fine: {self.input_names}")
        for stage in self.stages.values():
            fits = set(stage.channel_values) <= known
            require_field(fits, "channel_values", stage.channel_values, f"values out of {sorted(known)}")
            fits = stage.strong_label is None or stage is self.fine
            require_field(fits, "strong_label", stage.strong_label, "none in coarse, whose labels have no gates")

    @property
    def stages(self) -> dict[str, StageSpec]:
        """The stages by name, in the order in which they run."""
        return {"fine": self.fine} if self.coarse is None else {"coarse": self.coarse, "fine": self.fine}

    def with_stages(self, change: Callable[[StageSpec, str], StageSpec]) -> ModelSpec:
        """With each stage as a function of it and of its name gives it."""
        return replace(self, **{name: change(stage, name) for name, stage in self.stages.items()})  # type: ignore[arg-type]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the channels that a scan needs, in their order."""
        return tuple(channel.name for channel in self.fine.inputs)

    @property
    def takes_ct(self) -> bool:
        """Whether scans are CTs in HU: the first channel is one."""
        return self.fine.inputs[0].scheme == "ct"

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The type of maps of all its labels."""
        return label_dtype(label.value for label in self.labels)

    @property
    def label_names(self) -> dict[int, str]:
        """Label value -> name, without the background."""
        return {label.value: label.name for label in self.labels}

    @property
    def looked_for(self) -> dict[int, str]:
        """Label value -> name of the classes that the model can give: a label without a channel is never looked for."""
        return {label.value: label.name for label in self.labels if label.value in self.fine.channel_values}


#: The classes of FLARE, tumours last.
FLARE_LABELS = tuple(LabelSpec(row.value, row.name, row.colour) for row in STRUCTURES)
