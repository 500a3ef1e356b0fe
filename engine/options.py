"""How a bundle is run: what the user may choose, once, when it is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from flare_trt.engine.spec import StageSpec

Mode = Literal["exact", "fast"]


@dataclass(frozen=True)
class RunOptions:
    """`device` is auto, cpu or cuda:N; `backend` None takes the device's default; `threads` 0 takes all cores.

    `mode` exact gives what nnU-Net gives; fast takes the bundle's cheaper settings. `mirror` averages over the bundle's
    mirror axes (test-time augmentation, up to 8 times the network's cost). `max_memory_mb` bounds the memory above the idle
    process.
    """

    mode: Mode = "exact"
    device: str = "auto"
    backend: str | None = None
    max_memory_mb: int | None = None
    mirror: bool = False
    threads: int = 0


def stage_as_run(stage: StageSpec, options: RunOptions) -> StageSpec:
    """The stage with what the options change: fast settings in, mirroring out unless it was asked for."""
    changes: dict[str, object] = {} if options.mirror else {"mirror_axes": ()}
    if options.mode == "fast":
        wanted = {"tile_step": stage.fast.tile_step, "image_order": stage.fast.image_order, "spacing_mm": stage.fast.spacing_mm}
        changes.update({name: value for name, value in wanted.items() if value is not None})
    return replace(stage, **changes)  # type: ignore[arg-type]  # names are fields of StageSpec
