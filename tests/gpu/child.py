"""One step of the gate in a process of its own: `python -m tests.gpu.child module:function FILE.json`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.gpu.findings import CouldNotDoError, Findings


def main(arguments: Sequence[str]) -> int:
    """Run the step and keep what it found; what it raises goes to stderr and ends the process with an error."""
    target, file = arguments
    module, _, function = target.partition(":")
    findings = Findings(Path(file))
    try:
        getattr(import_module(module), function)(findings)
    except CouldNotDoError as reason:
        findings.notes.append(str(reason))
    findings.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
