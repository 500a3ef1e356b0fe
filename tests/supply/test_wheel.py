"""The sdist and the wheel: the same bytes whoever builds them, all that a run needs, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.supply.dependencies import ROOT

pytestmark = pytest.mark.slow

FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")
#: Builds the sdist from the checkout in the working folder, and the wheel from the sdist, as `python -m build` does.
BUILD = """
import os, sys, tarfile
from pathlib import Path
from setuptools import build_meta
os.umask(int(sys.argv[1], 8))
packed = Path.cwd() / build_meta.build_sdist(str(Path.cwd()))
tarfile.open(packed).extractall(Path.cwd(), filter="data")
os.chdir(packed.name.removesuffix(".tar.gz"))
build_meta.build_wheel("..")
"""


@dataclass(frozen=True)
class Built:
    """The two files of one build, and the folder that it was made in."""

    sdist: Path
    wheel: Path


def start_build(checkout: Path, umask: str, seconds: int) -> subprocess.Popen[str]:
    """Copy what git knows, set every file's time, and build in the background."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, checkout / name)
            (checkout / name).chmod(0o666 & ~int(umask, 8))
            os.utime(checkout / name, (seconds, seconds))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-c", BUILD, umask]
    return subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(build: subprocess.Popen[str], checkout: Path) -> Built:
    """Wait for a build."""
    output, _ = build.communicate()
    assert build.returncode == 0, output
    return Built(next(checkout.glob("*.tar.gz")), next(checkout.glob("*.whl")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One build."""
    checkout = tmp_path_factory.mktemp("build")
    return finished(start_build(checkout, "022", 1_600_000_000), checkout)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.nightly
def test_two_builds_give_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """They differ in folder, umask and the files' times."""
    checkout = tmp_path / "another place" / "two"
    second = finished(start_build(checkout, "077", 1_650_000_001), checkout)
    assert built.sdist.name == second.sdist.name
    assert built.sdist.read_bytes() == second.sdist.read_bytes()
    assert built.wheel.name == second.wheel.name
    assert built.wheel.read_bytes() == second.wheel.read_bytes()


def test_the_wheel_holds_every_file_of_the_packages_but_sources_and_results(built: Built) -> None:
    names = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    left_out = re.compile(r"kernels/native/[^/]+\.(cpp|h)|benchmarks/results/.*|[^/]+/LOG\.md")
    wanted = {f"flare_trt/{name}" for name in names if (ROOT / name).is_file() and not left_out.fullmatch(name)}
    found = {name for name in names_in(built.wheel) if ".dist-info/" not in name}
    native = {name for name in found if name.endswith(".so")}
    assert len(native) == 1
    assert found - native == wanted
    assert {Path(name).suffix for name in found} >= {".onnx", ".cu", ".cuh", ".hpp", ".cmake", ".html", ".css", ".js", ".typed"}
    for model in ("default", "tumours"):
        assert {f"flare_trt/engine/model/models/{model}/{name}" for name in ("bundle.json", "MODEL_CARD.md")} <= found


def test_the_wheel_is_small(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        assert sum(member.file_size for member in archive.infolist()) < 13_000_000


def test_the_compiled_kernels_name_no_folder_of_the_machine(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        native = archive.read(next(name for name in archive.namelist() if name.endswith(".so")))
    places = (built.sdist.parent, ROOT, Path(sys.prefix) / "lib", Path.home())
    assert [place for place in places if str(place).encode() in native] == []


def test_the_sdist_holds_what_a_build_needs(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    assert {"pyproject.toml", "setup.py", "LICENSE", "kernels/native/module.cpp", "kernels/native/threads.h"} <= names
    assert [name for name in names if name.startswith(("tests", "benchmarks/results", "docs"))] == []
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {(0, 0, "", 1_700_000_000)}
