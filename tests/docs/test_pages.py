"""What the pages say can be typed, can be typed; `make docs` holds their links and the reference."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.test_readme import blocks

from flare_trt.engine.apps.cli.commands import build_parser

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md"))]


def page_blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The flare-trt commands in a page's shell blocks, as words. Lines with variables of the shell are left out."""
    text = "\n".join(page_blocks(page, "bash")).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if "$" not in line]
    return [words[1:] for words in lines if words and words[0] == "flare-trt"]


def test_commands_are_found() -> None:
    assert len([words for page in PAGES for words in commands(page)]) >= 15


def exported(page: str) -> dict[str, str]:
    """The variables that a page's shell blocks export, which options may stand in."""
    lines = "\n".join(page_blocks(page, "bash")).splitlines()
    words = [word for line in lines if line.startswith("export ") for word in shlex.split(line, comments=True)[1:]]
    return dict(word.split("=", 1) for word in words)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_command_lines_parse(page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in exported(page).items():
        monkeypatch.setenv(name, value)
    for words in commands(page):
        parser = build_parser(words[0])
        if "--help" in words:
            with pytest.raises(SystemExit, match="0"):
                parser.parse_args(words)
        else:
            assert parser.parse_args(words).run


def test_the_quick_start_shows_the_session_of_the_readme() -> None:
    assert page_blocks("index.md", "python") == blocks("python")


def test_the_python_host_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "model")
    (session,) = page_blocks("embedding.md", "python")
    names: dict[str, np.ndarray] = {}
    exec(compile(session, "embedding.md", "exec"), names)  # noqa: S102  # the page is ours
    assert names["labels"].shape == names["voxels"].shape
    assert set(np.unique(names["labels"])) == {0, 1, 2, 3}
