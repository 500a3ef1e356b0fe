"""Each command's help works with the small runtime alone; a command that lacks an extra says which."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.supply.dependencies import ROOT
from tests.supply.installed import commands

from flare_trt.engine.apps.cli.commands import COMMANDS
from flare_trt.engine.base.extras import EXTRAS

WORDS = list(commands())


def in_small_runtime(*lines: Sequence[str]) -> list[tuple[int | str, str]]:
    """Exit code and output of several commands in one process that lacks all extras."""
    words = [word for line in lines for word in (*line, "--")][:-1]
    command = [sys.executable, "-m", "tests.supply.small_runtime", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, text) for code, text in json.loads(done.stdout.splitlines()[-1])]


def folders(folder: Path) -> list[str]:
    return [word for name in ("raw", "preprocessed", "results") for word in (f"--{name}", str(folder))]


def test_every_command_answers_help() -> None:
    found = in_small_runtime(*([*words, "--help"] for words in WORDS))
    assert {words[0] for words in WORDS if words} == set(COMMANDS)
    failed = {" ".join(words): code for words, (code, text) in zip(WORDS, found, strict=True) if (code, text[:5]) != (0, "usage")}
    assert failed == {}


def test_running_a_command_names_the_extra_that_it_lacks(tmp_path: Path) -> None:
    result, series = tmp_path / "result.json", tmp_path / "series"
    series.mkdir()
    (series / "1.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "Dataset001_raw").mkdir()
    (tmp_path / "Dataset001_raw" / "dataset.json").write_text(
        '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}'
    )
    lacking = {
        ("bench", "measure", "true"): "bench",
        ("bench", "roofline", "--out", str(result)): "bench",
        ("plan", "--model", str(ROOT / "engine/model/models/default"), "--shape", "40,50,60", "--spacing", "5,2,2"): "bench",
        ("segment", str(series), "-o", str(tmp_path / "seg.dcm")): "dicom",
        ("serve", "--model", str(tmp_path)): "serve",
        ("train", "plan", "--dataset-id", "1", *folders(tmp_path)): "train",
    }
    for (code, text), (words, extra) in zip(in_small_runtime(*lacking), lacking.items(), strict=True):
        assert (code, re.findall(r"pip install 'flare-trt\[(\w+)\]'", text)) == (1, [extra]), (words, code, text)


def test_the_table_names_real_extras_and_readme_says_what_each_brings() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for several in EXTRAS.values() for extra in several} <= set(extras)
    readme = (ROOT / "README.md").read_text()
    for extra in set(extras) - {"dev"}:
        assert re.search(rf"^\| `{extra}` \|", readme, re.MULTILINE), f"README.md does not say what the extra {extra} brings"


def test_the_guard_can_fail() -> None:
    """An import that only an extra brings fails in the small runtime, though it is installed here."""
    code = "import sys; from tests.supply.small_runtime import Blocker; sys.meta_path.insert(0, Blocker()); import numpy, psutil"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "No module named 'psutil'" in done.stderr
