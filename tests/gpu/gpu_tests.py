"""The tests that are marked `gpu`, run by pytest where it is installed."""

from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.gpu.checkout import ROOT
from tests.gpu.findings import CouldNotDoError, Findings

#: Folders that hold tests marked `gpu`; tests of other folders need packages that a GPU machine may lack.
FOLDERS = ("tests/kernels", "tests/gpu")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
#: So much of the end of a failed test's report is kept.
_KEPT = 600


class Collector:
    """A pytest plugin that keeps each test's outcome, and why it or its module did not pass."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._keep(report)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._keep(report)

    def _keep(self, report: Any) -> None:
        text = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else str(report.longrepr)
        lacks = missing_package(text) if report.failed else None
        self.outcomes[report.nodeid] = "not run" if lacks else report.outcome
        self.reasons[report.nodeid] = f"no package {lacks}" if lacks else text[-_KEPT:].removeprefix("Skipped: ")


def missing_package(text: str) -> str | None:
    """The package of others that a failure says is not installed, or None where it failed for another reason."""
    found = _MISSING.search(text)
    return found[1] if found and found[1] not in ("flare_trt", "tests") and find_spec(found[1]) is None else None


def run(findings: Findings, folders: tuple[str, ...] = FOLDERS, root: Path = ROOT) -> None:
    """Run them. A failed test is a problem, and so is that none passed; a package that tests lack is a note."""
    if find_spec("pytest") is None:
        raise CouldNotDoError("GPU tests: pytest is not installed")
    import pytest

    collector = Collector()
    options = [f"--rootdir={root}", "-m", "gpu", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=short", "-q"]
    pytest.main([*options, *(str(root / folder) for folder in folders)], plugins=[collector])
    outcomes = list(collector.outcomes.values())
    findings.data["counts"] = {name: outcomes.count(name) for name in ("passed", "failed", "skipped", "not run")}
    told = Counter((outcome, collector.reasons[name]) for name, outcome in collector.outcomes.items())
    findings.notes += [f"{kind}, {count}: {reason}" for (kind, reason), count in told.items() if kind in ("skipped", "not run")]
    findings.problems += [f"{name}: {collector.reasons[name]}" for name, kind in collector.outcomes.items() if kind == "failed"]
    if "passed" not in outcomes and not findings.problems:
        findings.problems.append("no GPU test ran")
