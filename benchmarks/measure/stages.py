"""The stages that a measured command reports, as JSON lines in a file that FLARE_TRT_STAGES names.

One line a stage: {"stage": "read", "start_s": 1712345678.25, "stop_s": 1712345679.0}, in seconds of time.time(). Every
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
class Stage:
    """A stage of the measured command, in seconds after its start."""

    name: str
    start_s: float
    stop_s: float


def read_stages(path: Path, started_at: float) -> tuple[list[Stage], list[str]]:
    """The stages in a file, and a word on each line that is none (a killed command leaves half a line). No file: no stages.

    `started_at` is the wall clock at the command's start.
    """
    stages, problems = [], []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            mark = json.loads(line)
            stages.append(Stage(str(mark["stage"]), float(mark["start_s"]) - started_at, float(mark["stop_s"]) - started_at))
        except (ValueError, TypeError, KeyError):
            problems.append(f"stage marks, line {number}: not a stage: {line[:60]!r}")
    return stages, problems


def stage_seconds(stages: Iterable[Stage]) -> dict[str, float]:
    """Seconds of each stage in the order of first appearance; a stage that comes again adds up."""
    seconds: dict[str, float] = {}
    for stage in stages:
        seconds[stage.name] = seconds.get(stage.name, 0.0) + stage.stop_s - stage.start_s
    return seconds
