"""What a wheel holds: the default model travels with the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flare_trt.engine.model.default_model import DEFAULT_MODEL
from tests.engine.tiny_bundle import write_tiny_bundle

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git knows of the packages, and a default model where there is none yet."""
    copy = tmp_path / "checkout"
    names = subprocess.run(["git", "ls-files", "-z", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ["setup.py", "pyproject.toml", "README.md", "LICENSE", *filter(None, names.split("\0"))]:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    default = copy / DEFAULT_MODEL.relative_to(ROOT.joinpath("engine").resolve().parent)
    if not default.exists():
        write_tiny_bundle(default)
        (default / "MODEL_CARD.md").write_text("a card")
        default.with_suffix(".source.onnx").unlink()
    return copy


def test_the_default_model_is_packed_whole(checkout: Path, tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "lib")]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    source, packed = checkout / "engine/model/models/default", tmp_path / "lib/flare_trt/engine/model/models/default"
    assert {"MODEL_CARD.md", "bundle.json", "fine.onnx"} <= {path.name for path in source.iterdir()}
    for file in source.iterdir():
        assert (packed / file.name).read_bytes() == file.read_bytes(), file.name
    assert (packed.parents[3] / "training/runs/default_fine.json").is_file()
