"""Seconds spent in each phase of a scan, also written as marks for the memory-time plot where FLARE_TRT_STAGES names a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stopwatch:
    """Adds up seconds by the name of a phase, in order of first use. Phases do not nest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block as part of the phase `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def marked(name: str) -> Iterator[None]:
    """Append one mark, in wall-clock seconds, to the file that FLARE_TRT_STAGES names; else do nothing."""
    start = time.time()
    try:
        yield
    finally:
        target = os.environ.get("FLARE_TRT_STAGES")
        if target:
            with Path(target).open("a", encoding="utf-8") as marks:
                marks.write(json.dumps({"stage": name, "start_s": start, "stop_s": time.time()}) + "\n")
