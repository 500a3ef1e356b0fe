"""The tests that are marked `gpu`, run by pytest where it is installed."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.gpu.checkout import ROOT
from tests.gpu.findings import CouldNotDoError, Findings

#: Folders that hold tests marked `gpu`; tests of other folders need packages that a GPU machine may lack.
FOLDERS = ("tests/kernels", "tests/gpu")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


class Collector:
    """A pytest plugin that keeps each test's outcome and what could not be collected."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.not_collected: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome
            if report.outcome != "passed":
                self.reasons[report.nodeid] = str(report.longrepr)[-600:]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.not_collected[report.nodeid] = str(report.longrepr)


def run(findings: Findings, folders: tuple[str, ...] = FOLDERS, root: Path = ROOT) -> None:
    """Run them. A failed test is a problem, and so is that none ran; a missing package of a test module is a note."""
    if find_spec("pytest") is None:
        raise CouldNotDoError("GPU tests: pytest is not installed")
    import pytest

    collector = Collector()
    options = [f"--rootdir={root}", "-m", "gpu", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=short", "-q"]
    pytest.main([*options, *(str(root / folder) for folder in folders)], plugins=[collector])
    outcomes = list(collector.outcomes.values())
    findings.data["counts"] = {name: outcomes.count(name) for name in ("passed", "failed", "skipped")}
    for name, text in collector.not_collected.items():
        missing = _MISSING.search(text)
        told = findings.notes if missing else findings.problems
        told.append(f"{name}: not collected: {'no package ' + missing[1] if missing else text[-600:]}")
    for name, outcome in collector.outcomes.items():
        if outcome == "failed":
            findings.problems.append(f"{name}: {collector.reasons[name]}")
    skipped = {collector.reasons[name].rpartition("Skipped: ")[2] for name, kind in collector.outcomes.items() if kind == "skipped"}
    findings.notes += [f"skipped: {reason}" for reason in sorted(skipped)]
    if "passed" not in outcomes and not findings.problems:
        findings.problems.append("no GPU test ran")
