"""Whole processes in pairs: this and that, that and this, so that a machine that slows down slows both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from flare_trt.benchmarks.against.builds import Build
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.model.modes import MODES, Mode

#: The caches of flare-trt itself (the file cache is always warm): made anew for each run, or left by the run before.
EMPTY, FILLED = "empty", "filled"


@dataclass(frozen=True)
class Case:
    """What both sides do. `model` None: each its own default model. `copies`: the scan so often, as one batch."""

    ct: Path
    mode: Mode
    model: Path | None
    caches: str
    copies: int = 1
    threads: int = 0


@dataclass(frozen=True)
class Spent:
    """One process: seconds, its peak resident memory in MB (2^20 bytes), and the share of all CPUs that others took meanwhile."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    others_share: float


@dataclass(frozen=True)
class Pair:
    """The runs of both sides, in pairs, and the label file that each wrote last.

    `unrounded` is what the side before labels with its networks in fp32, where both sides compute in half precision.
    """

    case: Case
    before: tuple[Spent, ...]
    after: tuple[Spent, ...]
    labels: tuple[Path, Path]
    unrounded: Path | None = None

    def medians(self, name: str) -> tuple[float, float, float]:
        """Median before, median after, and the median of the pairs' ratios after / before, of a field of Spent."""
        pairs = [(getattr(b, name), getattr(a, name)) for b, a in zip(self.before, self.after, strict=True)]
        return median(b for b, _ in pairs), median(a for _, a in pairs), median(a / b for b, a in pairs)

    @property
    def others_share(self) -> float:
        """The most that others took of the CPUs in any run."""
        return max(spent.others_share for spent in (*self.before, *self.after))


def run_with_caches(sides: tuple[Build, Build], case: Case, caches: Sequence[str], repeats: int, folder: Path) -> list[Pair]:
    """As `run_pairs`, with each state of the caches; what is labelled in fp32 does not hang on it, and is run once."""
    unrounded = _unrounded_labels(sides[0], case, folder)
    places = {folder / f"pairs{number}": replace(case, caches=state) for number, state in enumerate(caches)}
    return [replace(run_pairs(sides, one, repeats, place), unrounded=unrounded) for place, one in places.items()]


def run_pairs(sides: tuple[Build, Build], case: Case, repeats: int, folder: Path) -> Pair:
    """Run a case `repeats` times on both sides after one run of each that does not count. Raises FlareError where one fails."""
    inputs, outputs = _inputs(case, folder), (folder / "before", folder / "after")
    spent: tuple[list[Spent], list[Spent]] = ([], [])
    for number in range(-1, repeats):
        for side in (0, 1) if number % 2 else (1, 0):
            found = _run_once(sides[side], case, inputs, outputs[side])
            if number >= 0:
                spent[side].append(found)
    before, after = (_first_labels(output) for output in outputs)
    return Pair(case, tuple(spent[0]), tuple(spent[1]), (before, after))


def _unrounded_labels(build: Build, case: Case, folder: Path) -> Path | None:
    """What a build labels in the mode's own way but in fp32, where the mode takes half precision: ONNX Runtime has no other on a
    CPU. Mode half refuses fp32; it is exact in all else."""
    settings = MODES[case.mode]
    if case.model is None or not settings.precision:
        return None
    once = replace(case, copies=1, caches=EMPTY, mode="exact" if settings.never_fp32 else case.mode)
    _run_once(build, once, _inputs(once, folder / "once"), folder / "fp32", "onnxruntime")
    return _first_labels(folder / "fp32")


def _first_labels(folder: Path) -> Path:
    return min(folder.glob("*.nii.gz"))


def _inputs(case: Case, folder: Path) -> Path:
    """The scan under a name of ours, as often as the batch has scans."""
    inputs = folder / "scans"
    inputs.mkdir(parents=True)
    for copy in range(case.copies):
        (inputs / f"scan{copy:03}.nii.gz").symlink_to(case.ct.resolve())
    return inputs


def _run_once(build: Build, case: Case, inputs: Path, output: Path, backend: str = "") -> Spent:
    words = [str(build.program), "segment", str(inputs), "--output", str(output), "--mode", case.mode]
    words += ["--model", str(case.model)] if case.model else []
    words += ["--threads", str(case.threads)] if case.threads else []
    words += ["--backend", backend] if backend else []
    kept = output.with_name(f"{output.name}-caches")
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as fresh:
        return timed(words, {"XDG_CACHE_HOME": fresh if case.caches == EMPTY else str(kept)})


#: Linux counts the parent's size at the start into a child's peak: so a small process is the parent, and does the measuring.
_WATCH = """
import json, os, sys, time
start_s = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
wall_s = time.perf_counter() - start_s
found = [os.waitstatus_to_exitcode(status), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
print(json.dumps(found), file=sys.stderr)
"""


def timed(words: Sequence[str], environment: dict[str, str]) -> Spent:
    """Run a program (a path, then its arguments) to its end and ask the system what it took. Raises FlareError where it fails."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    watch = [sys.executable, "-I", "-S", "-c", _WATCH, *words]
    busy_s = _busy_seconds()
    done = subprocess.run(watch, env=inherited | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said, _, last = done.stderr.rstrip().rpartition("\n")
    if done.returncode:
        raise FlareError(f"{words[0]} cannot be run: {last}")
    exit_code, wall_s, cpu_s, peak_mb = json.loads(last)
    if exit_code:
        raise FlareError(f"{' '.join(words)} ended with exit code {exit_code}: {(said or done.stdout)[-2000:].strip()}")
    others_s = max(0.0, _busy_seconds() - busy_s - cpu_s)
    return Spent(wall_s, cpu_s, peak_mb, min(1.0, others_s / wall_s / (os.cpu_count() or 1)))


def _busy_seconds() -> float:
    """Seconds that all CPUs have worked since the start of the machine."""
    with Path("/proc/stat").open() as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
