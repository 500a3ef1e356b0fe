"""Every command of the table is there, explains itself, and costs nothing until it is chosen."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.apps.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: flare-trt {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert (stopped.value.code, capsys.readouterr().out) == (0, f"flare-trt {version('flare-trt')}\n")


def test_the_version_is_told_without_loading_numpy() -> None:
    told = "sorted({'numpy', 'scipy', 'flare_trt.engine.segmenter'} & set(sys.modules))"
    code = f"import sys\nfrom flare_trt.engine.apps.cli import main\ntry: main(['--version'])\nexcept SystemExit: print({told})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("words", [[], ["nonsense"], ["segment"], ["segment", "a.nii.gz", "--model", "m"]])
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage: flare-trt" in capsys.readouterr().err
