"""What is fuzzed: a target gets damaged bytes and a `Bench`, an empty folder for its input and one for its output.

It returns when the input ended in a result, and raises one of our errors when it was refused. Any other exception, a crash, a
hang, memory beyond the budget or a file outside `bench.output` is a fault; `worker.py` looks for those.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bench:
    """Where one input is tried. `rng` is the input's own, for choices beside the bytes."""

    input: Path
    output: Path
    rng: random.Random


@dataclass(frozen=True)
class Target:
    """`inputs` are tried in CI. `mutate(seed, rng, other seeds)` damages a seed. An input may take `cpu_limit_s`.

    `every_run` is how many the tests of every change try; None: a twentieth of them.
    """

    seeds: Callable[[], Sequence[bytes]]
    mutate: Callable[[bytes, random.Random, Sequence[bytes]], bytes]
    run: Callable[[bytes, Bench], None]
    inputs: int
    cpu_limit_s: float = 10.0
    every_run: int | None = None


class LongWork(Exception):  # noqa: N818  # not an error: the run is sound and says how much there is to do
    """The input asks for more tiles than fuzzing waits for; the run was stopped at its first report of progress."""
