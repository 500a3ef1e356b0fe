"""The native kernels, built in place where there is a compiler, for the CPU side of the comparisons; else what runs instead."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from importlib.util import find_spec

from tests.gpu.checkout import ROOT
from tests.gpu.findings import CouldNotDoError, Findings

from flare_trt.kernels import Kernels, load, native_problem

#: setup.py with its sources compiled side by side.
_BUILD = (
    "import runpy, sys\n"
    "from pybind11.setup_helpers import ParallelCompile\n"
    "ParallelCompile('FLARE_TRT_BUILD_JOBS', default=0).install()\n"
    "sys.argv = ['setup.py', 'build_ext', '--inplace']\n"
    "runpy.run_path('setup.py', run_name='__main__')\n"
)


def build(findings: Findings) -> None:
    """Build unless they are there. Raises CouldNotDoError where a tool is missing."""
    if native_problem() is None:
        findings.data["native"] = "already built"
        return
    missing = [name for name in ("pybind11", "setuptools") if find_spec(name) is None]
    missing += [] if shutil.which("g++") else ["g++"]
    if missing:
        raise CouldNotDoError(f"native kernels: not built, there is no {', '.join(missing)}; the reference kernels run on the CPU")
    done = subprocess.run([sys.executable, "-c", _BUILD], cwd=ROOT, capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    problem = native_problem()
    if problem is not None:
        print(done.stdout, done.stderr)
        raise CouldNotDoError(f"native kernels: the build failed ({problem}); the reference kernels run on the CPU")
    findings.data["native"] = "built in place"


def cpu_kernels(findings: Findings) -> Kernels:
    """The fastest kernels for the CPU side; what is missing of them is noted."""
    problem = native_problem()
    if problem is not None:
        findings.notes.append(f"CPU side: the reference kernels, since {problem}")
        return load("reference")
    kernels = load("native")
    if find_spec("cc3d") is None:
        findings.notes.append("CPU side: components by SciPy, since connected-components-3d is not installed")
        kernels.components = load("reference").components  # type: ignore[method-assign]
    return kernels
