"""The phases that a measured command reports, as JSON lines in a file that FLARE_TRT_STAGES names.

One line a phase: {"stage": "read", "start_s": 1712345678.25, "stop_s": 1712345679.0}, in seconds of time.time(). Every
command may write them; nothing of flare-trt need be imported for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: The environment variable that names the file.
VARIABLE = "FLARE_TRT_STAGES"


@dataclass(frozen=True)
class Phase:
    """A phase of the measured command, in seconds after its start."""

    name: str
    start_s: float
    stop_s: float


def read_phases(path: Path, started_at: float) -> tuple[list[Phase], list[str]]:
    """The phases in a file, and a message for each line that is not one (a killed command leaves half a line). No file: no phases.

    `started_at` is the wall clock at the command's start.
    """
    phases, problems = [], []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            mark = json.loads(line)
            phases.append(Phase(str(mark["stage"]), float(mark["start_s"]) - started_at, float(mark["stop_s"]) - started_at))
        except (ValueError, TypeError, KeyError):
            problems.append(f"phase marks, line {number}: not a phase: {line[:60]!r}")
    return phases, problems


def phase_seconds(phases: Iterable[Phase]) -> dict[str, float]:
    """Seconds of each phase in the order of first appearance; a phase that comes again adds up."""
    seconds: dict[str, float] = {}
    for phase in phases:
        seconds[phase.name] = seconds.get(phase.name, 0.0) + phase.stop_s - phase.start_s
    return seconds
