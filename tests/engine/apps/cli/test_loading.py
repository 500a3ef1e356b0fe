"""What the start of a command leaves to the collector of garbage, in processes of their own, and how it is interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import gc, sys
from flare_trt.engine.apps.cli import main
{before}
try:
    main([{words}])
except SystemExit:
    pass
print(gc.isenabled(), gc.get_freeze_count() > 10_000, "importlib.metadata" in sys.modules)
"""


@pytest.mark.parametrize(("before", "collects"), [("", True), ("gc.disable()", False)])
def test_what_is_loaded_is_no_garbage(before: str, collects: bool) -> None:
    code = _CODE.format(before=before, words="'segment', '--help'")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{collects} True False"


_INTERRUPTED = """
import signal, sys
from flare_trt.engine.apps.cli import main
from flare_trt.engine.apps.cli.commands import COMMANDS

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with interrupts ignored
COMMANDS["info"] = ("slowly_loaded", "never loaded")
sys.exit(main(["info"]))
"""


def test_ctrl_c_while_modules_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "slowly_loaded.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (130, "flare-trt: interrupted\n")


@pytest.mark.parametrize("spin", [None, "20"])
def test_the_spinning_of_blas_is_as_before_once_all_is_loaded(spin: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    environment |= {} if spin is None else {"OPENBLAS_THREAD_TIMEOUT": spin}
    code = "import os; from flare_trt.engine.apps.cli import _loading\nwith _loading(): print(os.environ[NAME])\n"
    code += "print(os.environ.get(NAME))"
    code = code.replace("NAME", "'OPENBLAS_THREAD_TIMEOUT'")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spin or "4", str(spin)]
