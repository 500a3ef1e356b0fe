"""nnU-Net's network measured on a declared share of its tiles, where all of them would take hours.

Everything else (reading, resampling, the export of full-size logits) runs whole. The labels mean nothing then; what the left
out tiles would have taken is added by `whole_seconds`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from flare_trt.engine.base.stopwatch import marked

_STAGE = re.compile(r"tiles: (\d+) of (\d+)")


def limit_tiles(predictor: Any, count: int) -> None:
    """Let a nnUNetPredictor run only the first `count` tiles of a scan, each marked with the share that is run."""
    slicers_of: Callable[..., list[Any]] = predictor._internal_get_sliding_window_slicers
    run_tile: Callable[..., Any] = predictor._internal_maybe_mirror_and_predict
    share = ["tiles: 0 of 0"]

    def first_slicers(*arguments: Any) -> list[Any]:
        every = slicers_of(*arguments)
        chosen = every[:count]
        share[0] = f"tiles: {len(chosen)} of {len(every)}"
        return chosen

    def marked_tile(*arguments: Any) -> Any:
        with marked(share[0]):
            return run_tile(*arguments)

    predictor._internal_get_sliding_window_slicers = first_slicers
    predictor._internal_maybe_mirror_and_predict = marked_tile


def whole_seconds(wall_s: float, stages: Mapping[str, float]) -> tuple[float, str | None]:
    """Wall time with all tiles, and the share that was run in words (None where all were)."""
    for name, seconds in stages.items():
        found = _STAGE.fullmatch(name)
        if found:
            run, every = int(found[1]), int(found[2])
            return wall_s + seconds * (every / run - 1), f"{run} of {every} tiles"
    return wall_s, None


def without_tiles(stages: Mapping[str, float]) -> dict[str, float]:
    """The stages without the tiles' marks, which lie inside the network's."""
    return {name: seconds for name, seconds in stages.items() if not _STAGE.fullmatch(name)}
