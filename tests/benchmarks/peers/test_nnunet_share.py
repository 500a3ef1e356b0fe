"""The time of a whole run from a run of some tiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flare_trt.benchmarks.peers.nnunet_share import limit_tiles, whole_seconds, without_tiles


class Predictor:
    """What is wrapped of nnUNetPredictor."""

    def _internal_get_sliding_window_slicers(self, shape: tuple[int, ...]) -> list[int]:
        return list(range(shape[0]))

    def _internal_maybe_mirror_and_predict(self, tile: int) -> int:
        return -tile


def test_the_first_tiles_run_and_are_marked_with_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLARE_TRT_STAGES", str(tmp_path / "stages"))
    predictor = Predictor()
    limit_tiles(predictor, 3)
    tiles = predictor._internal_get_sliding_window_slicers((11, 5))
    assert [predictor._internal_maybe_mirror_and_predict(tile) for tile in tiles] == [0, -1, -2]
    marks = [json.loads(line)["stage"] for line in (tmp_path / "stages").read_text().splitlines()]
    assert marks == ["tiles: 3 of 11"] * 3


def test_the_left_out_tiles_are_added() -> None:
    stages = {"read": 1.0, "network": 8.0, "tiles: 2 of 10": 6.0}
    assert whole_seconds(12.0, stages) == (pytest.approx(12 + 6 * 4), "2 of 10 tiles")
    assert without_tiles(stages) == {"read": 1.0, "network": 8.0}
    assert whole_seconds(12.0, {"network": 8.0}) == (12.0, None)
