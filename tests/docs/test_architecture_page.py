"""docs/architecture.md: its picture and table are those of the imports, and what it names is there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WHOLE = ("kernels", "export", "benchmarks", "training")


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_picture_and_table_are_up_to_date(draw: ModuleType) -> None:
    house = draw.read_house(ROOT, whole=WHOLE)
    stale = "the imports changed: run python docs/draw_architecture.py and commit docs/"
    assert draw.page(PAGE, house) == PAGE, stale
    assert draw.svg(house) == draw.PICTURE.read_text(encoding="utf-8"), stale


def test_rooms_and_arrows_of_a_small_house(draw: ModuleType, tmp_path: Path) -> None:
    files = {
        "engine/__init__.py": "from flare_trt.engine.base.grid import Grid",
        "engine/segmenter.py": '"""The door."""\nfrom flare_trt.engine.scans import nifti',
        "engine/base/__init__.py": '"""Below all."""',
        "engine/base/grid.py": "import os",
        "engine/scans/nifti.py": "def f():\n    from flare_trt.engine.base.grid import Grid",
        "training/loop.py": "from flare_trt.engine import Segmenter",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    house = draw.read_house(tmp_path, whole=WHOLE)
    assert {room: set(targets) for room, targets in house.arrows.items()} == {
        "engine/base": set(),
        "engine/scans": {"engine/base"},
        "engine/segmenter": {"engine/scans", "engine/base"},
        "training": {"engine/segmenter"},
    }
    assert draw.floors(house.arrows) == [["engine/base"], ["engine/scans"], ["engine/segmenter"], ["training"]]
    assert draw.direct(house.arrows)["engine/segmenter"] == ["engine/scans"]
    assert house.about["engine/base"] == "Below all."
    assert draw.svg(house).count("<rect") == 1 + len(house.arrows)


def test_circles_are_counted(draw: ModuleType) -> None:
    arrows = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b"), "d": frozenset("a")}
    assert draw.circles(arrows) == [{"b", "c"}]
    assert draw.floors(arrows) == [["b", "c"], ["a"], ["d"]]


def test_files_and_names_on_the_page_are_there() -> None:
    paths = set(re.findall(r"`((?:engine|kernels|benchmarks|docs|tests)/[^` ]*)`", PAGE))
    assert len(paths) > 25
    assert [path for path in sorted(paths) if not ((ROOT / path).exists() or (ROOT / f"{path}.py").exists())] == []
    claims = re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", PAGE)
    assert len(claims) >= 6
    assert [claim for claim in claims if not re.search(rf"\b{claim[0]}\b", (ROOT / claim[1]).read_text())] == []
