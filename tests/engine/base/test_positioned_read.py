from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.engine.base.positioned_read import read_into


def test_a_piece_is_read_and_a_file_that_ends_before_is_noticed(tmp_path: Path) -> None:
    stored = np.arange(35, dtype=np.int16)
    stored.tofile(tmp_path / "voxels")
    rows = np.zeros((3, 5), np.int16)
    with (tmp_path / "voxels").open("rb") as file:
        assert read_into(file.fileno(), rows, 2 * 20)
        np.testing.assert_array_equal(rows.ravel(), stored[20:])
        assert not read_into(file.fileno(), rows, 2 * 21)
