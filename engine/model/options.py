"""How a bundle is run: what the user may choose, once, when it is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.modes import MODES, Mode, ModeSettings
from flare_trt.engine.model.spec import StageSpec


@dataclass(frozen=True)
class RunOptions:
    """`device` is auto, cpu or cuda:N; `backend` None takes the device's default; `threads` 0 takes all cores.

    `mode` exact gives what nnU-Net gives, in the box that a coarse stage found; half does the same in half precision (bf16 on
    a CPU, fp16 on a GPU), or is a DeviceError where there is none; fast takes the fewest tiles in that box, leaves out what
    lies outside of the body, and takes the bundle's cheaper settings. `mirror` averages over the bundle's mirror axes
    (test-time augmentation, up to 8 times the network's cost). `max_memory_mb` bounds the memory above the idle
    process.
    """

    mode: Mode = "exact"
    device: str = "auto"
    backend: str | None = None
    max_memory_mb: int | None = None
    mirror: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"mode: got {self.mode!r}, expected {' or '.join(map(repr, MODES))}")

    @property
    def settings(self) -> ModeSettings:
        """What the mode does."""
        return MODES[self.mode]

    def stage_as_run(self, stage: StageSpec) -> StageSpec:
        """The stage with what the options change: the bundle's fast settings, and no mirroring unless it was asked for."""
        spacing_mm = stage.fast.spacing_mm if self.settings.uses_fast_spec else None
        return replace(stage, spacing_mm=spacing_mm or stage.spacing_mm, mirror_axes=stage.mirror_axes if self.mirror else ())
