from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from flare_trt.training.cli import STEPS, configure


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    configure(made)
    return made


@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_help(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([step, "--help"])
    assert stopped.value.code == 0
    assert step in capsys.readouterr().out


def test_arguments_reach_the_step() -> None:
    line = "fit --dataset-id 501 --raw a --preprocessed b --results c --network fine --gpus 2 --resume"
    arguments = parser().parse_args(line.split())
    assert (arguments.train_step, arguments.network, arguments.gpus, arguments.resume, arguments.fold) == (
        "fit",
        "fine",
        2,
        True,
        "0",
    )
    assert parser().parse_args([*line.replace("fit", "finetune").split(), "--start", "x.pth"]).fold == "all"


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import argparse, sys; from flare_trt.training.cli import configure; configure(argparse.ArgumentParser()); "
        "print([name for name in ('torch', 'nnunetv2', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
