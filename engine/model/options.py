"""How a bundle is run: what the user may choose, once, when it is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.pass_plan import Raster

Mode = Literal["exact", "fast"]


@dataclass(frozen=True)
class RunOptions:
    """`device` is auto, cpu or cuda:N; `backend` None takes the device's default; `threads` 0 takes all cores.

    `mode` exact gives what nnU-Net gives, in the box that a coarse stage found; fast takes the fewest tiles in that box, leaves out
    what lies outside of the body, and takes the bundle's cheaper settings. `mirror` averages over the bundle's
    mirror axes (test-time augmentation, up to 8 times the network's cost). `max_memory_mb` bounds the memory above the idle
    process.
    """

    mode: Mode = "exact"
    device: str = "auto"
    backend: str | None = None
    max_memory_mb: int | None = None
    mirror: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InputError(f"mode: got {self.mode!r}, expected 'exact' or 'fast'")


def stage_as_run(stage: StageSpec, options: RunOptions) -> StageSpec:
    """The stage with what the options change: fast settings in, mirroring out unless it was asked for."""
    changes: dict[str, object] = {} if options.mirror else {"mirror_axes": ()}
    if options.mode == "fast":
        wanted = {"tile_step": stage.fast.tile_step, "image_order": stage.fast.image_order, "spacing_mm": stage.fast.spacing_mm}
        changes.update({name: value for name, value in wanted.items() if value is not None})
    return replace(stage, **changes)  # type: ignore[arg-type]  # names are fields of StageSpec


def raster_as_run(options: RunOptions) -> Raster:
    """The tiles that a region of interest is covered with: in mode=exact the whole scan's, in mode=fast the fewest."""
    return "box" if options.mode == "fast" else "scan"
