"""What the README says can be done, can be done."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import flare_trt.engine
from flare_trt.engine.apps.cli.commands import COMMANDS, build_parser
from flare_trt.engine.scans.image_files import read_labels
from tests.engine.scans.nifti_files import AXIAL, write_raw
from tests.engine.tiny_bundle import LABELS, write_tiny_bundle

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_lines() -> list[list[str]]:
    lines = "\n".join(blocks("bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {line[1] for line in shell_lines() if line[0] == "make"}
    assert {"demo", "test"} <= named <= targets


def test_command_lines_parse() -> None:
    lines = [line for line in shell_lines() if line[0] == "flare-trt"]
    assert lines
    for _, command, *words in lines:
        assert build_parser(command).parse_args([command, *words]).run


def test_the_table_names_every_command() -> None:
    assert set(re.findall(r"^\| `flare-trt (\w+)", README, re.MULTILINE)) == set(COMMANDS)


def test_the_python_session_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_raw(tmp_path / "ct.nii.gz", np.random.default_rng(3).normal(0, 200, (19, 37, 31)).astype("<i2"), AXIAL)
    write_tiny_bundle(tmp_path / "model")
    (session,) = blocks("python")
    exec(compile(session, "README.md", "exec"), {})  # noqa: S102  # the README is ours
    labels = read_labels(tmp_path / "labels.nii.gz").array
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [label.name for label in LABELS]


def test_links_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        local = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
        assert [link for link in local if not (ROOT / link).exists()] == []
    folders = re.findall(r"^\| `([a-z/]+)/` \|", README, re.MULTILINE)
    assert len(folders) == 6
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_public_names_are_there_and_no_others() -> None:
    assert len(flare_trt.engine.__all__) == 11
    for name in flare_trt.engine.__all__:
        assert getattr(flare_trt.engine, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = flare_trt.engine.Nothing
