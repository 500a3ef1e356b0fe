"""Steps that end in every way that a step can, for the tests of the runner."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from tests.gpu.findings import CouldNotDoError, Findings


def works(findings: Findings) -> None:
    """Finds something, and cannot do a part."""
    findings.data["answer"] = 42
    findings.check("a share", 0.0, 0.1)
    with findings.part("a part"):
        raise CouldNotDoError("no package x")


def is_wrong(findings: Findings) -> None:
    """Finds that a check does not hold."""
    findings.check("labels differ", 0.5, 0.1)


def has_a_bad_part(findings: Findings) -> None:
    """One part fails, the next goes on."""
    with findings.part("first"):
        raise ValueError("broken")
    with findings.part("second"):
        findings.data["second"] = True


def lacks(findings: Findings) -> None:
    """Can do nothing here."""
    raise CouldNotDoError("no backend")


def raises(findings: Findings) -> None:
    """Fails as a whole, after it kept something."""
    findings.data["before"] = 1
    findings.keep()
    raise RuntimeError("out of order")


def crashes(findings: Findings) -> None:
    """Ends as a fault in a driver would."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hangs(findings: Findings) -> None:
    """Never ends, and has a child that would not either."""
    findings.data["child"] = subprocess.Popen(["sleep", "600"]).pid
    findings.keep()
    time.sleep(600)
