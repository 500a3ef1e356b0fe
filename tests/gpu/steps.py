"""The gate's steps in their order: what each is, the function that does it, and the seconds that it may take."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds that all steps together may take; what a step leaves, the next ones have.
TOTAL_S = 460.0


@dataclass(frozen=True)
class Step:
    """`target` is "module:function"; the function takes Findings and runs in a process of its own."""

    name: str
    target: str
    limit_s: float


STEPS = (
    Step("machine", "tests.gpu.machine:look", 30),
    Step("native kernels", "tests.gpu.native_build:build", 150),
    Step("tests", "tests.gpu.gpu_tests:run", 120),
    Step("kernels", "tests.gpu.kernel_times:measure", 90),
    Step("networks", "tests.gpu.networks:open_all", 200),
    Step("parity", "tests.gpu.parity:compare", 150),
    Step("scans", "tests.gpu.scans:measure", 120),
)
