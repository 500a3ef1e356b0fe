"""Targets with a fault each, to see that the harness finds it."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from tests.fuzz.target import Bench, Target

from flare_trt.engine.base.errors import InputError

#: The input that goes wrong; those before and behind it are sound.
BAD = 3


def _numbered(fault: Callable[[Bench], None]) -> Target:
    count = iter(range(-2, 1000))  # the seeds run first, as warm-up, and then the range

    def run(data: bytes, bench: Bench) -> None:
        if next(count) == BAD:
            fault(bench)
        if data == b"odd":
            raise InputError("refused")

    return Target(lambda: [b"even", b"odd"], lambda seed, rng, others: seed, run, 8)


def _crash(bench: Bench) -> None:
    ctypes.string_at(0)


def _hang(bench: Bench) -> None:
    time.sleep(600)


def _spin(bench: Bench) -> None:
    end_s = time.process_time() + 1.2
    while time.process_time() < end_s:
        pass


def _allocate(bench: Bench) -> None:
    np.zeros(1 << 40, np.uint8)


def _touch(bench: Bench) -> None:
    np.ones(400 << 20, np.uint8)


def _stray(bench: Bench) -> None:
    (bench.output.parent / "stray").write_text("x")


def _partial(bench: Bench) -> None:
    (bench.output / ".labels.nii.gz.1234.part").write_text("x")


def _refused_with_output(bench: Bench) -> None:
    (bench.output / "labels.nii.gz").write_text("x")
    raise InputError("refused, after something was written")


def _other_error(bench: Bench) -> None:
    raise ZeroDivisionError("not one of ours")


TARGETS = {
    fault.__name__.lstrip("_"): _numbered(fault)
    for fault in (_crash, _hang, _spin, _allocate, _touch, _stray, _partial, _refused_with_output, _other_error)
}
TARGETS["spin"] = replace(TARGETS["spin"], cpu_limit_s=1.0)
