"""Runs a target's inputs in child processes, so that a crash of native code or a hang ends one child and is reported.

A child that dies or goes silent is traced: the input it was at is tried alone, then with ever more of those before it, until
the fault comes back. A fresh child goes on behind it.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.worker import READY, Verdict

ROOT = Path(__file__).resolve().parents[2]
TABLE = "tests.fuzz.targets"
#: Seconds of silence after which a child counts as hung: 10 for the input, the rest for a busy machine; and for the imports.
SILENCE_S, IMPORTS_S = 60.0, 180.0


@dataclass
class Tally:
    """What became of a target's inputs."""

    target: str
    ended: Counter[str] = field(default_factory=Counter)
    faults: list[Verdict] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """Inputs that were tried."""
        return sum(self.ended.values())

    def add(self, verdict: Verdict) -> None:
        """Count one input."""
        self.ended[verdict.ended] += 1
        if verdict.ended == "FAULT":
            self.faults.append(verdict)


@dataclass(frozen=True)
class Range:
    """Inputs [start, stop) of a target under a seed. `silence_s` is how long a child may say nothing."""

    target: str
    seed: str
    start: int
    stop: int
    table: str = TABLE
    silence_s: float = SILENCE_S


def fuzz(inputs: Range) -> Tally:
    """Try every input of the range and say what became of it."""
    tally, start = Tally(inputs.target), inputs.start
    while start < inputs.stop:
        verdicts, died = _run_child(inputs, start, inputs.stop)
        for verdict in verdicts:
            tally.add(verdict)
        start = verdicts[-1].index + 1 if verdicts else start
        if died and start < inputs.stop:
            tally.add(Verdict(start, "FAULT", f"{died}; {_traced(inputs, start, verdicts)}"))
            start += 1
    return tally


def _traced(inputs: Range, culprit: int, before: list[Verdict]) -> str:
    """How few inputs up to the culprit bring the end about again."""
    most, count = len(before) + 1, 1
    while count <= most:
        if _run_child(inputs, culprit + 1 - count, culprit + 1)[1]:
            return "comes back alone" if count == 1 else f"comes back after the {count - 1} inputs before it"
        count = count * 2 if count * 2 <= most or count == most else most
    return "did not come back"


def _run_child(inputs: Range, start: int, stop: int) -> tuple[list[Verdict], str | None]:
    """The verdicts of one child, and how it died if it did not end by itself."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch, tempfile.TemporaryFile() as errors:
        words = [inputs.table, inputs.target, inputs.seed, str(start), str(stop), scratch]
        environment = {**os.environ, "TMPDIR": f"{scratch}/home", "HOME": f"{scratch}/home", "OMP_NUM_THREADS": "1"}
        environment["XDG_CACHE_HOME"] = f"{scratch}/cache"  # compiled networks are kept there, on purpose
        environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'build' / 'typing'}"
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", *words], stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=ROOT
        )
        lines, silent = _read_lines(child, inputs.silence_s)
        if silent:
            child.kill()
        code = child.wait()
        verdicts = [Verdict(**json.loads(line)) for line in lines if line != READY.encode()]
        if silent:
            return verdicts, f"said nothing for {inputs.silence_s:g} s"
        if code == 0:
            return verdicts, None
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        return verdicts, f"ended with {code} ({' '.join(last)[:300]})"


def _read_lines(child: subprocess.Popen[bytes], silence_s: float) -> tuple[list[bytes], bool]:
    """Whole lines of the child's output until it ends or says nothing for too long."""
    assert child.stdout is not None
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(silence_s if data else IMPORTS_S):
            part = os.read(child.stdout.fileno(), 1 << 16)
            if not part:
                return _whole(data), False
            data += part
    return _whole(data), True


def _whole(data: bytearray) -> list[bytes]:
    return bytes(data).split(b"\n")[:-1]
