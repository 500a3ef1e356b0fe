"""nnU-Net's folders: from the options, else from its own environment variables, else an error that names the option."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from flare_trt.training.cli import configure

VARIABLES = {f"nnUNet_{part}": f"/data/{part}" for part in ("raw", "preprocessed", "results")}


def parse(words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    configure(parser)
    return parser.parse_args(words.split())


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("step", ["plan", "fit --network fine", "finetune --network coarse --start x.pth"])
def test_the_environment_stands_in_for_what_no_option_names(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, folder in VARIABLES.items():
        monkeypatch.setenv(variable, folder)
    found = parse(f"{step} --dataset-id 501 --results mine")
    assert (found.raw, found.preprocessed, found.results) == (Path("/data/raw"), Path("/data/preprocessed"), Path("mine"))
    assert parse("prepare flare").out == Path("/data/raw")


def test_without_either_the_option_is_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_raw", "")
    with pytest.raises(SystemExit):
        parse("plan --dataset-id 501 --results mine")
    assert "the following arguments are required: --raw, --preprocessed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse("plan --help")
    assert "default: the environment's nnUNet_preprocessed" in " ".join(capsys.readouterr().out.split())
