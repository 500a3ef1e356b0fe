"""The PNG writer against Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from flare_trt.engine.results.png import png_bytes


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (64, 33, 3)])
def test_what_is_written_is_what_pillow_reads(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(png_bytes(image))) as read:
        read.verify()
    with Image.open(io.BytesIO(png_bytes(image))) as read:
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(read), image)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("uint8", (4, 4)), ("uint8", (4, 4, 4)), ("float32", (4, 4, 3)), ("uint8", (0, 4, 3))]
)
def test_other_arrays_are_refused(dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        png_bytes(np.zeros(shape, dtype))
