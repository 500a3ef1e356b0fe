"""Commits by name, the working tree as a commit, and what is refused before anything is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flare_trt.benchmarks.against.builds import Build, build, named_commit, working_tree
from flare_trt.engine.base.errors import InputError


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    return subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "n")
    git(tmp_path, "config", "user.email", "e@example.org")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    return tmp_path


def test_a_commit_by_any_name(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert named_commit("HEAD", checkout) == named_commit(head[:8], checkout) == head
    with pytest.raises(InputError, match="got 'no-such', which is no commit"):
        named_commit("no-such", checkout)


def test_the_working_tree_is_head_or_a_loose_commit_with_the_changes(checkout: Path) -> None:
    assert working_tree(checkout) == git(checkout, "rev-parse", "HEAD")
    (checkout / "file").write_text("two")
    loose = working_tree(checkout)
    assert git(checkout, "show", f"{loose}:file") == "two"
    assert git(checkout, "branch", "--contains", loose) == ""
    assert (checkout / "file").read_text() == "two"


def test_extras_that_are_no_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"extras: got '\.\./x'"):
        build("0" * 40, "../x", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_default_model_is_found_wherever_the_commit_keeps_it(tmp_path: Path) -> None:
    made = Build("c0ffee", tmp_path, ())
    with pytest.raises(InputError, match="c0ffee: this commit brings no default model"):
        _ = made.default_model
    for place in ("engine/models/default", "engine/models/other"):
        folder = tmp_path / "source" / place
        folder.mkdir(parents=True)
        (folder / "bundle.json").touch()
    assert made.default_model == tmp_path / "source" / "engine/models/default"
