"""What the start of a command leaves to the collector of garbage, in processes of their own, and how it is interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.apps.cli.commands import COMMANDS

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


def test_ctrl_c_while_modules_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slowly_loaded.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "info", ("slowly_loaded", "never loaded"))
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "flare-trt: interrupted\n"


@pytest.mark.parametrize("spin", [None, "20"])
def test_the_spinning_of_blas_is_as_before_once_all_is_loaded(spin: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    environment |= {} if spin is None else {"OPENBLAS_THREAD_TIMEOUT": spin}
    code = "import os; from flare_trt.engine.apps.cli import _loading\nwith _loading(): print(os.environ[NAME])\n"
    code += "print(os.environ.get(NAME))"
    code = code.replace("NAME", "'OPENBLAS_THREAD_TIMEOUT'")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spin or "4", str(spin)]
