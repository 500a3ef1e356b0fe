"""`make gpu`: every test that a real NVIDIA GPU can answer, and one JSON of what was found.

The contract tests of kernels and backends run on each device that is there, so on a machine with a GPU they run on it. Exit
code 0: all passed; 1: something failed; 3: there is no usable GPU, and nothing was run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from flare_trt.engine.atomic_file import write_json
from flare_trt.engine.inventory import take_inventory
from flare_trt.kernels import cuda_problem

ROOT = Path(__file__).resolve().parents[1]
TESTS = ("tests/kernels", "tests/engine")


class Collector:
    """A pytest plugin that keeps each test's outcome."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome


def main(arguments: Sequence[str], tests: Sequence[str] = TESTS) -> int:
    """Run the tests and write the JSON that `arguments` names. Returns the exit code."""
    problem = cuda_problem()
    if problem is not None:
        print(f"make gpu: no GPU was used: {problem}")
        return 3
    target = Path(arguments[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    collector = Collector()
    code = int(pytest.main([f"--rootdir={ROOT}", *tests], plugins=[collector]))
    counts = {name: list(collector.outcomes.values()).count(name) for name in ("passed", "failed", "skipped")}
    failures = sorted(name for name, outcome in collector.outcomes.items() if outcome == "failed")
    write_json(target, {"inventory": take_inventory().as_json(), "counts": counts, "failures": failures, "pytest_code": code})
    print(f"make gpu: {counts}; written to {target}")
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
