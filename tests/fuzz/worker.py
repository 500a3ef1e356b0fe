"""Tries a range of one target's inputs in this process, under limits, and tells of each; `supervise.py` starts it.

    python -m tests.fuzz.worker TABLE TARGET SEED START STOP SCRATCH

prints one JSON object an input. TABLE is a module with TARGETS. Inputs before 0 are kept ones (the seeds as they are, then the
files of corpus/TARGET), the others are made from the seed and their number.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from tests.fuzz.target import Bench, LongWork, Target

from flare_trt.engine.base.errors import FlareError
from flare_trt.kernels.host_memory import peak_resident_bytes

CORPUS = Path(__file__).parent / "corpus"
#: Address space that all inputs of a worker may take above what the process has once its seeds have run.
BUDGET_BYTES = 768 << 20
#: Resident memory that may stay behind or be touched on the way, above the same.
RESIDENT_BYTES = 256 << 20
#: The first line of a worker, once all is imported.
READY = "ready"


@dataclass(frozen=True)
class Verdict:
    """`ended` is "result", "long", the name of one of our errors, or "FAULT"; `detail` says more."""

    index: int
    ended: str
    detail: str = ""


def kept_inputs(name: str, target: Target) -> list[bytes]:
    """The seeds and the corpus' files: inputs -1, -2, ..."""
    files = sorted((CORPUS / name).iterdir()) if (CORPUS / name).is_dir() else []
    return [*target.seeds(), *(file.read_bytes() for file in files)]


def input_bytes(name: str, target: Target, seed: str, index: int) -> bytes:
    """Input number `index`; the same on every machine."""
    if index < 0:
        return kept_inputs(name, target)[-1 - index]
    rng = random.Random(f"{name}/{seed}/{index}")
    seeds = target.seeds()
    return target.mutate(rng.choice(seeds), rng, seeds)


def try_input(target: Target, data: bytes, scratch: Path, index: int) -> Verdict:
    """Run one input in empty folders and look at what it left."""
    bench = Bench(scratch / "input", scratch / "output", random.Random(index))
    for folder in (bench.input, bench.output):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    start_s = time.process_time()
    ended, detail = "result", ""
    try:
        target.run(data, bench)
    except FlareError as error:
        ended, detail = type(error).__name__, str(error)[:200]
    except LongWork as work:
        ended, detail = "long", str(work)
    except Exception as error:  # noqa: BLE001  # whatever else is raised is what we are looking for
        ended, detail = "FAULT", f"{type(error).__name__}: {error}"[:500]
    spent_s = time.process_time() - start_s
    faults = [*([detail] if ended == "FAULT" else []), *_left_behind(bench, scratch, whole=ended == "result")]
    if spent_s > target.cpu_limit_s:
        faults.append(f"took {spent_s:.1f} s")
    return Verdict(index, "FAULT", "; ".join(faults)) if faults else Verdict(index, ended, detail)


def _left_behind(bench: Bench, scratch: Path, whole: bool) -> list[str]:
    """Files where none should be: outside the output folder, temporary ones, and results of an input that was refused."""
    strays = sorted({path.name for path in scratch.iterdir()} - {"input", "output", "home", "cache"})
    strays += [path.name for path in (scratch / "home").iterdir()]
    partial = [
        path.name for path in bench.output.iterdir() if path.name.startswith(".") or path.name.endswith(".part") or not whole
    ]
    for path in (*scratch.glob("home/*"), *(scratch / name for name in strays)):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return [f"left {strays} outside of the output"] * bool(strays) + [f"left {partial} in the output"] * bool(partial)


def limit_memory() -> int:
    """Bound the address space from here on; returns the resident bytes now."""
    pages = Path("/proc/self/statm").read_text().split()
    size, resident = (int(count) * resource.getpagesize() for count in pages[:2])
    resource.setrlimit(resource.RLIMIT_AS, (size + BUDGET_BYTES, resource.RLIM_INFINITY))
    return resident


def main(arguments: Sequence[str]) -> None:
    """See the module's text."""
    table, name, seed, start, stop, scratch = arguments
    target: Target = import_module(table).TARGETS[name]
    tell = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print does not get among the verdicts
    home = Path(scratch) / "home"
    home.mkdir(parents=True, exist_ok=True)
    os.chdir(home)
    os.fsync = lambda file: None  # no power is cut here, and the disk is the slowest part of a small input
    kept = kept_inputs(name, target)
    for data in kept[: len(target.seeds())]:  # loads what loads on first use
        try_input(target, data, Path(scratch), 0)
    resident = limit_memory()
    print(READY, file=tell, flush=True)
    for index in range(int(start), int(stop)):
        verdict = try_input(target, input_bytes(name, target, seed, index), Path(scratch), index)
        grown = peak_resident_bytes() - resident
        if grown > RESIDENT_BYTES and verdict.ended != "FAULT":
            verdict = Verdict(index, "FAULT", f"resident memory grew by {grown >> 20} MiB")
        tell.write(json.dumps(asdict(verdict)) + "\n")
        tell.flush()
        if grown > RESIDENT_BYTES:
            break  # the peak stays: a fresh process goes on behind this input


if __name__ == "__main__":
    main(sys.argv[1:])
