"""`make gpu [PYTHON=...]`: everything that a real NVIDIA GPU can answer, in under eight minutes, as one JSON and a table.

Installs nothing: it takes the packages that this Python has, and says what it could not do for want of others. Exit code 0: all
that could be done was done and right; 1: a step failed or a check did not hold; 3: there is no GPU to use, and nothing was run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.gpu.checkout import prepare
from tests.gpu.steps import STEPS, TOTAL_S, Step


def main(arguments: Sequence[str], steps: Sequence[Step] = STEPS, total_s: float = TOTAL_S) -> int:
    """Run the steps and write the JSON that `arguments` names. Returns the exit code."""
    folder = prepare()
    problem = no_gpu()
    if problem is not None:
        print(f"make gpu: no GPU was used: {problem}")
        return 3
    from tests.gpu.runner import run_steps

    from flare_trt.benchmarks.base.result_file import new_result, save_result
    from flare_trt.benchmarks.gpu_plan.gpu_tables import gpu_tables
    from flare_trt.engine.model.spec import Check

    target = Path(arguments[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    outcomes, checks = [], []
    for outcome in run_steps(steps, folder, total_s):
        print(f"make gpu: {outcome['name']}: {outcome['status']} in {outcome['seconds']:.1f} s", flush=True)
        checks += [Check(**check) for check in outcome.pop("checks")]
        outcomes.append(outcome)
        result = replace(new_result("gpu", checks, {"steps": outcomes}), command=["make", "gpu"])
        save_result(target, result)  # after every step, so that what was found stays whatever comes
    failed = [outcome["name"] for outcome in outcomes if outcome["status"] == "failed"]
    print(gpu_tables(outcomes))
    for line in result.broken:
        print(f"WRONG: {line}")
    print(f"make gpu: {'failed: ' + ', '.join(failed) if failed else 'every step ran'}; written to {target}")
    return 1 if failed or result.broken else 0


def no_gpu() -> str | None:
    """Why no GPU can be used, or None."""
    try:
        from flare_trt.kernels import cuda_problem
    except ImportError as error:
        return f"{sys.executable} lacks a package that everything needs ({error})"
    return cuda_problem()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
