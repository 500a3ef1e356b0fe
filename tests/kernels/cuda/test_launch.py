"""How launches are sized and packed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flare_trt.kernels.cuda.launch import Launch, run


class Recorder:
    """Stands for a compiled kernel."""

    calls: list[Any]

    def __init__(self) -> None:
        self.calls = []

    def __call__(self, *call: Any) -> None:
        self.calls.append(call)


def test_every_voxel_has_a_thread() -> None:
    launch = Launch.over_volume((5, 17, 33))
    assert launch == Launch((2, 3, 5), (32, 8, 1))


def test_elements_in_rows_and_in_strides() -> None:
    assert Launch.over_elements(513, rows=7) == Launch((3, 7, 1), (256, 1, 1))
    assert Launch.over_elements(10**6, most_blocks=64).grid_xyz == (64, 1, 1)


def test_arguments_have_the_declared_width() -> None:
    kernel = Recorder()
    run(kernel, Launch.over_elements(5), 3, np.int64(3), 0.5, np.float64(0.5), np.uint64(2**40), "array")
    packed = kernel.calls[0][2]
    assert [getattr(value, "dtype", None) for value in packed] == [np.int32, np.int32, np.float32, np.float32, np.uint64, None]


@pytest.mark.parametrize("number", [2**31, np.int64(2**31)])
def test_a_number_that_does_not_fit_is_an_error(number: Any) -> None:
    with pytest.raises(OverflowError):
        run(Recorder(), Launch.over_elements(5), number)


def test_nothing_is_launched_over_nothing() -> None:
    kernel = Recorder()
    run(kernel, Launch.over_volume((0, 5, 5)))
    assert kernel.calls == []


def test_a_grid_past_the_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="cut the array"):
        run(Recorder(), Launch.over_volume((65536, 1, 1)))


@pytest.mark.parametrize("argument", [True, np.zeros(3)])
def test_what_a_kernel_cannot_take_is_refused(argument: Any) -> None:
    with pytest.raises(TypeError, match="kernel argument"):
        run(Recorder(), Launch.over_elements(5), argument)
