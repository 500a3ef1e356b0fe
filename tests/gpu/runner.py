"""Runs the steps one after the other, each in its own process: a crash, a hang or a lost GPU costs one step, not the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.gpu.checkout import ROOT
from tests.gpu.steps import Step

#: Lines of a failed step's output that are kept.
_LOG_LINES = 25
#: A step is not started with less time than this.
_LEAST_S = 5.0


def run_steps(steps: Sequence[Step], folder: Path, total_s: float) -> Iterator[dict[str, Any]]:
    """Each step's outcome: `status` is done, failed or not done; `error` says why it failed; the rest as in Findings."""
    end = time.monotonic() + total_s
    for step in steps:
        limit_s = min(step.limit_s, end - time.monotonic())
        if limit_s < _LEAST_S:
            yield _outcome(step, 0.0, "not started: the time was up", {})
        else:
            yield _run_step(step, folder, limit_s)


def _run_step(step: Step, folder: Path, limit_s: float) -> dict[str, Any]:
    stem = step.name.replace(" ", "-")
    found, log = folder / f"{stem}.json", folder / f"{stem}.log"
    found.unlink(missing_ok=True)
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.gpu.child", step.target, str(found)]
    start = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, env=_environment(folder), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        error = _wait(child, limit_s)
    if error:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        error = "\n".join([error, *lines[-_LOG_LINES:]]).replace(str(ROOT), ".")
    return _outcome(step, time.monotonic() - start, error, _read(found))


def _wait(child: subprocess.Popen[bytes], limit_s: float) -> str:
    """Why the child failed, or "". Its whole process group ends with it, whatever happens here."""
    try:
        code = child.wait(limit_s)
    except subprocess.TimeoutExpired:
        return f"stopped: it took more than {limit_s:.0f} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if code < 0:
        return f"killed by signal {-code}"
    return f"ended with code {code}" if code else ""


def _environment(folder: Path) -> dict[str, str]:
    """Caches beside the results; TF32 off in every NVIDIA library, since parity is asked of float32."""
    caches = {"XDG_CACHE_HOME": str(folder / "cache"), "CUPY_CACHE_DIR": str(folder / "cache" / "cupy")}
    return os.environ | caches | {"NVIDIA_TF32_OVERRIDE": "0", "PYTHONUNBUFFERED": "1"}


def _read(found: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


def _outcome(step: Step, seconds: float, error: str, told: dict[str, Any]) -> dict[str, Any]:
    data, problems, notes = told.get("data", {}), told.get("problems", []), told.get("notes", [])
    status = "failed" if error or problems else "done" if data or not notes else "not done"
    return {
        "name": step.name,
        "status": status,
        "seconds": round(seconds, 2),
        "error": error,
        "problems": problems,
        "notes": notes,
        "checks": told.get("checks", []),
        "data": data,
    }
