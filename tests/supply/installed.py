"""An installed wheel, tried with nothing of the checkout: every command's help, the native kernels, a phantom through the model.

    VENV/bin/python -I tests/supply/installed.py

Exits 1 and says what is wrong; the last lines tell what was found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("flare-trt"))
#: 30 cm around the abdomen: small enough for any machine.
SEED, SHAPE_ZYX, SPACING_MM = 7, (60, 96, 112), (5.0, 3.5, 3.5)
#: The phantom is no anatomy; a model that runs as it should finds this many of its 13 organs with ease.
FEWEST_ORGANS = 6


def answer(*words: str) -> str:
    """What the installed command prints. Exits with its complaint where it fails."""
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"flare-trt {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(right: bool, wrong: str) -> None:
    """End with `wrong` unless `right`."""
    if not right:
        sys.exit(f"installed wheel: {wrong}")


def organs_of_phantom(folder: Path) -> list[str]:
    """Names of the organs that the default model finds in a phantom written to `folder`."""
    from flare_trt.engine.phantom.synthetic_body import make_phantom
    from flare_trt.engine.scans.nifti import write_ct

    scan, labels, report = (folder / name for name in ("ct.nii.gz", "labels.nii.gz", "report.json"))
    write_ct(scan, make_phantom(SEED, SHAPE_ZYX, SPACING_MM)[0])
    told = answer("segment", str(scan), "--output", str(labels), "--report", str(report), "--device", "cpu")
    check("flare-trt-default (the default model)" in told, f"segment does not say that the default model ran:\n{told}")
    check(labels.stat().st_size > 0, "no labels were written")
    return [organ["name"] for organ in json.loads(report.read_text())["organs"] if organ["voxels"] > 0]


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command and sub-command, the bare command first."""
    from flare_trt.engine.apps.cli.commands import COMMANDS, build_parser

    yield ()
    for name in COMMANDS:
        (table,) = (action for action in build_parser(name)._actions if isinstance(action, argparse._SubParsersAction))
        yield from _below(table.choices[name], (name,))


def _below(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _below(inner, (*words, name))


def main() -> None:
    """Try the install."""
    version = metadata.version("flare-trt")
    check(answer("--version").strip() == f"flare-trt {version}", f"--version does not answer flare-trt {version}")
    kernels = {part["name"]: part["problem"] for part in json.loads(answer("info", "--json"))["kernels"]}
    check(kernels["native"] is None, f"the native kernels cannot be used: {kernels['native']}")
    helped = [words for words in commands() if answer(*words, "--help").startswith("usage: flare-trt")]
    check(len(helped) > 40, f"only {len(helped)} commands answer --help")
    with tempfile.TemporaryDirectory() as folder:
        organs = organs_of_phantom(Path(folder))
    check(len(organs) >= FEWEST_ORGANS, f"the default model found {organs} in a phantom, expected {FEWEST_ORGANS} organs or more")
    files = [Path(path.locate()) for path in metadata.files("flare-trt") or () if path.suffix != ".pyc"]
    own_mb = sum(path.stat().st_size for path in files) / 1e6
    print(f"flare-trt {version}: {len(files)} files, {own_mb:.1f} MB; {len(helped)} commands answer --help")
    print(f"{len(organs)} of the phantom's organs by the default model")


if __name__ == "__main__":
    main()
