"""Words of the command line."""

from __future__ import annotations

import argparse

import pytest

from flare_trt.engine.apps.cli.values import add_run_options, memory_mb, run_options
from flare_trt.engine.model.options import RunOptions


def parse(*words: str) -> RunOptions:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_run_options(parser)
    return run_options(parser.parse_args(words))


def test_defaults_are_those_of_run_options() -> None:
    assert parse() == RunOptions()


def test_every_option() -> None:
    words = [
        "--mode",
        "fast",
        "--device",
        "cuda:1",
        "--backend",
        "tensorrt",
        "--max-memory",
        "1.5GiB",
        "--threads",
        "3",
        "--mirror",
        "--step-size",
        "0.75",
    ]
    assert parse(*words) == RunOptions("fast", "cuda:1", "tensorrt", 1611, mirror=True, threads=3, tile_step=0.75)


@pytest.mark.parametrize(("text", "mb"), [("1500MB", 1500), ("4GB", 4000), ("0.5 gb", 500), ("1MiB", 1), ("2GiB", 2147)])
def test_memory(text: str, mb: int) -> None:
    assert memory_mb(text) == mb


@pytest.mark.parametrize("words", ["memory 1500", "memory 0MB", "memory -1GB"])
def test_wrong_sizes(words: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parse(*f"--max-{words}".split())


@pytest.mark.parametrize(
    "words",
    [
        "--device gpu",
        "--device cuda",
        "--device cpu:0",
        "--threads x",
        "--threads -1",
        "--mode x",
        "--step-size 0",
        "--step-size 1.1",
    ],
)
def test_other_wrong_words(words: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parse(*words.split())


@pytest.mark.parametrize("text", ["0", "1.1", "-1", "half", "nan"])
def test_wrong_steps(text: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parse("--step-size", text)
