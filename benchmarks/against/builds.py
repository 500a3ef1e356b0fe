"""A commit of this checkout, installed as a user would install it: a copy of its files, a virtual environment, `pip install`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from flare_trt.engine.base.errors import FlareError, InputError

#: The checkout that this file belongs to.
CHECKOUT = Path(__file__).resolve().parents[2]
#: Written last, so that a build that was stopped is begun anew.
_DONE = "packages.txt"


@dataclass(frozen=True)
class Build:
    """An installed commit. `packages` are the versions of all else in its environment, as `pip freeze` names them."""

    commit: str
    folder: Path
    packages: tuple[str, ...]

    @property
    def program(self) -> Path:
        """Its own `flare-trt`."""
        return self.folder / "venv" / "bin" / "flare-trt"

    @property
    def default_model(self) -> Path:
        """The bundle that it takes where no model is named. Raises InputError where the commit brings none."""
        found = sorted((self.folder / "source" / "engine").glob("**/models/default/bundle.json"))
        if not found:
            raise InputError(f"{self.commit}: this commit brings no default model; name one with --model")
        return found[0].parent


def named_commit(name: str, checkout: Path = CHECKOUT) -> str:
    """The full hash of a commit. Raises InputError where there is none of this name."""
    done = _git(checkout, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if done.returncode:
        raise InputError(f"commit: got {name!r}, which is no commit of {checkout}; see git log")
    return done.stdout.decode().strip()


def working_tree(checkout: Path = CHECKOUT) -> str:
    """A commit of the tracked files as they are now: HEAD, or a loose one that no branch holds. Raises InputError."""
    loose = _git(checkout, "stash", "create").stdout.decode().strip()
    return loose or named_commit("HEAD", checkout)


def default_builds() -> Path:
    """Where builds are kept: flare-trt/builds in $XDG_CACHE_HOME, or else in the home folder's .cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flare-trt" / "builds"


def build(commit: str, extras: str, builds: Path, like: Build | None = None) -> Build:
    """Install a commit with extras ("" or "dicom,gpu"), or take the build that is there.

    With `like`, packages take the versions that the other build has. Raises FlareError where git or pip fail.
    """
    if not re.fullmatch(r"[a-z,]*", extras):
        raise InputError(f"extras: got {extras!r}, expected names with commas between them, such as dicom,gpu")
    folder = builds.resolve() / "-".join([commit[:12], *sorted(filter(None, extras.split(",")))])
    if not (folder / _DONE).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "source").mkdir(parents=True)
        _unpack(commit, folder / "source")
        _install(folder, extras, like)
    return Build(commit, folder, tuple((folder / _DONE).read_text().splitlines()))


def _unpack(commit: str, target: Path) -> None:
    archive = _git(CHECKOUT, "archive", "--format=tar", commit)
    if archive.returncode:
        raise FlareError(f"git archive {commit} failed: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(target, filter="data")


def _install(folder: Path, extras: str, like: Build | None) -> None:
    python, versions = folder / "venv" / "bin" / "python", folder / "constraints.txt"
    versions.write_text("\n".join(like.packages if like else ()) + "\n")
    wanted = f"{folder / 'source'}[{extras}]" if extras else str(folder / "source")
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "venv", str(folder / "venv")])
    _run([*pip, "install", "--constraint", str(versions), wanted])
    frozen = _run([*pip, "freeze", "--exclude", "flare-trt"])
    (folder / _DONE).write_text(frozen)


def _run(command: list[str]) -> str:
    """What a command prints. Raises FlareError with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FlareError(
            f"{' '.join(command)} ended with exit code {done.returncode}: {(done.stderr or done.stdout)[-2000:].strip()}"
        )
    return done.stdout


def _git(checkout: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, check=False)
