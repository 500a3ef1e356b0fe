"""Time and memory of one command, measured from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from flare_trt.benchmarks.base.extra import require
from flare_trt.benchmarks.measure.areas import TOLERANCE_MB, Areas, Curve, areas
from flare_trt.benchmarks.measure.phases import VARIABLE, Phase, read_phases
from flare_trt.engine.base.errors import FlareError, InputError

#: The measured curves: name -> whose memory it is.
CURVES = {
    "gpu_device": "the whole GPU, as FLARE counts",
    "gpu_tree": "the command and its descendants on the GPU",
    "host_used": "the whole machine",
    "tree_rss": "resident pages of the command and its descendants, shared ones counted in each",
    "tree_pss": "the same, shared ones counted once",
}


@dataclass(frozen=True)
class MeasureOptions:
    """How to measure. `gpu` is an NVML index; FLARE's interval is 0.1 s. What the command prints goes to the file `log`, if
    one is given, else to the terminal."""

    interval_s: float = 0.1
    gpu: int = 0
    log: Path | None = None


@dataclass(frozen=True)
class Measurement:
    """One run of one command. `samples` has a column for the times and one for each curve; `memory` holds the curves that
    could be read. `others_share` is the share of all CPUs that other programs took meanwhile: where it is not near 0, the
    wall time is not that of a free machine. `problems` says what could not be measured and why."""

    command: tuple[str, ...]
    exit_code: int
    wall_s: float
    cpu_s: float
    others_share: float
    interval_s: float
    query_s: float
    left_running: int
    gpu_name: str | None
    problems: tuple[str, ...]
    memory: dict[str, Areas]
    stages: tuple[Phase, ...]
    samples: dict[str, list[float | None]]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"tolerance_mb": TOLERANCE_MB, "curves": CURVES}


def measured(command: Sequence[str], log: Path) -> Measurement:
    """As `measure`, for a command that has to succeed; what it prints goes to `log`. Raises FlareError where it fails, too."""
    found = measure(command, MeasureOptions(log=log))
    if found.exit_code != 0:
        raise FlareError(f"{' '.join(command[2:5])} failed with exit code {found.exit_code}; see {log}")
    return found


def measure(command: Sequence[str], options: MeasureOptions = MeasureOptions()) -> Measurement:
    """Run a command to its end, whatever end that is, and measure it.

    The command inherits the terminal, and finds the file for its phase marks in FLARE_TRT_STAGES. Raises InputError where
    there is no such command, FlareError where it cannot be measured at all.
    """
    require("psutil")
    if not command or shutil.which(command[0]) is None:
        raise InputError(f"command: got {command[0] if command else 'nothing'!r}, expected a program on PATH or a path to one")
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as folder:
        out, stages = Path(folder) / "recording.json", Path(folder) / "stages.jsonl"
        sampler = [
            sys.executable,
            "-m",
            "flare_trt.benchmarks.measure.sampler",
            str(out),
            str(options.interval_s),
            str(options.gpu),
        ]
        with (options.log or Path(os.devnull)).open("wb") as log:
            output = log if options.log else None
            code = _run_through_interrupts([*sampler, *command], os.environ | {VARIABLE: str(stages)}, output)
        if not out.exists():
            raise FlareError(f"the sampler ended with exit code {code} and no recording of {command[0]}; see what it printed")
        return _measurement(tuple(command), json.loads(out.read_text()), stages)


def _run_through_interrupts(command: list[str], environment: dict[str, str], output: BinaryIO | None) -> int:
    """Wait for the end also when interrupted: the measured command gets the same interrupt, and its end is awaited."""
    with subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _measurement(command: tuple[str, ...], recording: dict[str, Any], stages_file: Path) -> Measurement:
    stages, problems = read_phases(stages_file, recording["started_at"])
    if stages and abs(recording["clock_step_s"]) > 0.05:
        problems.append(f"the wall clock was moved by {recording['clock_step_s']:.2f} s meanwhile; phase marks are off by that")
    if recording["gpu_problem"]:
        problems.append(recording["gpu_problem"])
    memory = {name: found for name in CURVES if (found := areas(_curve(name, recording))) is not None}
    samples = {key: [sample[key] for sample in recording["samples"]] for key in recording["samples"][0]}
    return Measurement(
        command=command,
        exit_code=recording["ending"]["exit_code"],
        wall_s=recording["wall_s"],
        cpu_s=recording["ending"]["cpu_s"],
        others_share=_others_share(recording),
        interval_s=recording["interval_s"],
        query_s=recording["query_s"],
        left_running=recording["ending"]["left_running"],
        gpu_name=recording["gpu_name"],
        problems=tuple(problems),
        memory=memory,
        stages=tuple(stages),
        samples=samples,
    )


def _others_share(recording: dict[str, Any]) -> float:
    others_s = recording["machine_cpu_s"] - recording["ending"]["cpu_s"]
    return float(max(0.0, others_s) / (recording["wall_s"] * (os.cpu_count() or 1)))


def _curve(name: str, recording: dict[str, Any]) -> Curve:
    key = f"{name}_mb"
    times = [sample["time_s"] for sample in recording["samples"]]
    values = [sample[key] for sample in recording["samples"]]
    until_s = None
    if name == "tree_pss":
        values = _held(values)
    elif recording["gpu_problem"] and name.startswith("gpu"):
        until_s = max((time for time, value in zip(times, values, strict=True) if value is not None), default=0.0)
    return Curve(times, values, recording["wall_s"], recording["interval_s"], recording["baseline"][key], until_s)


def _held(values: list[float | None]) -> list[float | None]:
    """Each missing value as the last one read (the PSS is read less often than the rest, see host_memory.py)."""
    held: list[float | None] = []
    for value in values:
        held.append(value if value is not None or not held else held[-1])
    return held
