"""The whole-body case keeps its torso to the voxel and at its place."""

import numpy as np
import pytest

from flare_trt.benchmarks.inputs.whole_body import whole_body
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume

SHAPE, SPACING = (24, 60, 70), (9.0, 6.0, 5.0)


def torso(direction: tuple[tuple[float, float, float], ...]) -> Volume:
    rng = np.random.default_rng(2)
    return Volume(rng.integers(-100, 200, SHAPE).astype(np.int16), Grid(SHAPE, SPACING, (3.0, -7.0, 11.0), direction))  # type: ignore[arg-type]


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_the_torso_is_kept_where_it_was(flip: float) -> None:
    part = torso(((flip, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, flip)))
    made = whole_body(part, 190)
    body = made.scan
    assert body.grid.shape_zyx == (190, 60, 70)
    assert body.grid.orientation == "SPL"
    turn = Reorientation.to(part.grid, "SPL")
    turned, grid = turn.apply(part.array), turn.grid(part.grid)
    start = round((grid.origin_mm[2] - body.grid.origin_mm[2]) / 9.0)
    np.testing.assert_allclose(body.grid.origin_mm[:2], grid.origin_mm[:2])
    np.testing.assert_array_equal(body.array[start : start + 24], turned)
    assert 30 < start < 130
    assert made.torso == (start, start + 24)
    assert (body.array[:start] > -200).any()
    assert (body.array[start + 24 :] > -200).any()


def test_too_few_slices_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2 more"):
        whole_body(torso(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))), 24)
