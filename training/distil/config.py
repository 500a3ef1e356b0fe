"""What one student's distillation is made of: a frozen value, read from strict JSON (training/runs/*.json)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model import strict_json
from flare_trt.kernels import Intensity
from flare_trt.training.distil.network import NetworkConfig, Triple
from flare_trt.training.distil.warp import Vector, WarpRange


@dataclass(frozen=True)
class TeacherConfig:
    """The teacher's ONNX file (14 logits in FLARE order) and what it expects of an image in SPL orientation."""

    onnx: str
    spacing_mm: Vector
    patch_zyx: Triple
    intensity: Intensity


@dataclass(frozen=True)
class DataConfig:
    """CTs that the teacher labels, views a CT, and the labelled CTs that only measure. Paths are NIfTI files."""

    cts: tuple[str, ...]
    views_per_ct: int
    validation_cts: tuple[str, ...]
    validation_labels: tuple[str, ...]
    view_warp: WarpRange = field(default_factory=WarpRange)
    patch_warp: WarpRange = field(default_factory=WarpRange)


@dataclass(frozen=True)
class MixConfig:
    """Shares of the training patches: whole phantoms, CTs carried on by a phantom's body, the rest plain CTs; and of the
    patches that are cut to a smaller scan, blanked outside a circle of view, or taken with a random intensity."""

    phantom: float = 0.15
    extended: float = 0.0
    short: float = 0.15
    circle: float = 0.1
    intensity: float = 0.8


@dataclass(frozen=True)
class ScheduleConfig:
    """AdamW with linear warm-up and cosine decay over `steps`; a checkpoint, a log line and a validation each so many steps."""

    steps: int
    learning_rate: float
    warmup_steps: int = 50
    weight_decay: float = 0.01
    average: float = 0.995  # share of the old weights in the running average that is validated and exported
    log_every: int = 20
    validate_every: int = 200
    dice_weight: float = 1.0
    hard_weight: float = 0.3


@dataclass(frozen=True)
class DistilConfig:
    """One student. `start_from_teacher` takes the teacher's own weights as the first ones.

    `teacher_share` of them is in the weights that are bundled, the rest is the student's: on the straight line between start
    and end of training lie networks that keep what the teacher knew and have most of what was learnt (Wortsman et al. 2022,
    Robust fine-tuning of zero-shot models).
    """

    name: str
    spacing_mm: Vector
    patch_zyx: Triple
    train_patch_zyx: Triple
    teacher: TeacherConfig
    data: DataConfig
    schedule: ScheduleConfig
    mix: MixConfig = MixConfig()
    network: NetworkConfig = field(default_factory=NetworkConfig)
    start_from_teacher: bool = True
    teacher_share: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.teacher_share < 1 or (self.teacher_share and not self.start_from_teacher):
            raise InputError(
                f"{self.name}: teacher_share: got {self.teacher_share} with start_from_teacher {self.start_from_teacher}, "
                "expected a share in [0, 1), and 0 for a student that starts from random weights"
            )


def read_config(path: Path, data: Path) -> DistilConfig:
    """Read a configuration; its relative paths start from `data`. An unknown key or a wrong type names the field."""
    config = strict_json.parse(path.read_text("utf-8"), DistilConfig, str(path))

    def placed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(data / name) for name in names)

    own = config.data
    moved = replace(
        own,
        cts=placed(own.cts),
        validation_cts=placed(own.validation_cts),
        validation_labels=placed(own.validation_labels),
    )
    return replace(config, data=moved, teacher=replace(config.teacher, onnx=str(data / config.teacher.onnx)))
