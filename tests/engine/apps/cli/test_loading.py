"""What the start of a command leaves to the collector of garbage, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

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
