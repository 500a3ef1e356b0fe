"""How a bundle is run: what the user may choose, once, when it is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.modes import MODES, Mode, ModeSettings
from flare_trt.engine.model.spec import FastSpec, StageSpec


@dataclass(frozen=True)
class RunOptions:
    """`device` is auto, cpu or cuda:N; `backend` None takes the device's default; `threads` 0 takes all cores.

    `mode` exact gives what nnU-Net gives, in the box that a coarse stage found; half does the same in half precision (bf16 on
    a CPU, fp16 on a GPU), or is a DeviceError where there is none; fast takes the fewest tiles in that box, leaves out what
    lies outside of the body, and takes the bundle's cheaper settings. `mirror` averages over the bundle's mirror axes
    (test-time augmentation, up to 8 times the network's cost). `max_memory_mb` bounds the memory above the idle
    process. `tile_step`, a share of the patch in (0, 1], takes the place of the bundle's for the network that gives the labels.
    `probabilities` keeps those of all classes on disk (base/probabilities.py), beside the labels.
    """

    mode: Mode = "exact"
    device: str = "auto"
    backend: str | None = None
    max_memory_mb: int | None = None
    mirror: bool = False
    threads: int = 0
    tile_step: float | None = None
    probabilities: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"mode: got {self.mode!r}, expected {' or '.join(map(repr, MODES))}")
        if self.tile_step is not None and not 0 < self.tile_step <= 1:
            raise InputError(f"tile step: got {self.tile_step}, expected a share of the patch: more than 0, at most 1")

    @property
    def settings(self) -> ModeSettings:
        """What the mode does."""
        return MODES[self.mode]

    @property
    def one_step_at_a_time(self) -> bool:
        """Whether no scan is read or written while something else is done: one thread does one thing, a memory budget holds one
        scan, and the networks' own memory is measured while they are opened."""
        return self.threads == 1 or self.max_memory_mb is not None

    def stage_as_run(self, stage: StageSpec, name: str) -> StageSpec:
        """The stage, "coarse" or "fine", as the options have it run: fast settings and networks, step, mirroring."""
        fast = stage.fast if self.settings.uses_fast_spec else FastSpec()
        tile_step = self.tile_step if name == "fine" else None
        return replace(
            stage,
            networks=fast.networks or stage.networks,
            spacing_mm=fast.spacing_mm or stage.spacing_mm,
            mirror_axes=stage.mirror_axes if self.mirror else (),
            tile_step=tile_step or stage.tile_step,
        )
