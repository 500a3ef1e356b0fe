"""The memory that is left, from files as Linux writes them, and as this very process sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec

from flare_trt.engine.base.errors import BudgetError, InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.memory_left import obtainable_bytes
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmenter

ROOT = Path(__file__).resolve().parents[3]
GB = 1_000_000_000


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def left(tmp_path: Path, available_kb: int, groups: dict[str, str], own: str = "a/b") -> int | None:
    proc = write(
        tmp_path / "proc", {"meminfo": f"MemTotal: 99 kB\nMemAvailable: {available_kb} kB\n", "self/cgroup": f"0::/{own}\n"}
    )
    return obtainable_bytes(proc, write(tmp_path / "cgroup", groups))


def test_the_machine_alone(tmp_path: Path) -> None:
    assert left(tmp_path, 1_000_000, {}) == int(1_024_000_000 * 0.7)


@pytest.mark.parametrize("place", ["", "a/", "a/b/"])
def test_a_control_group_or_one_above_it(tmp_path: Path, place: str) -> None:
    limits = {"a/b/memory.max": "max", "a/b/memory.current": "5"}
    limits |= {f"{place}memory.max": "3000000000", f"{place}memory.current": "2000000000"}
    limits[f"{place}memory.stat"] = "anon 7\ninactive_file 400000000\n"
    assert left(tmp_path, 90_000_000, limits) == int(1.4 * GB * 0.7)


def test_a_group_that_is_full(tmp_path: Path) -> None:
    assert left(tmp_path, 90_000_000, {"memory.max": "1000", "memory.current": "2000"}) == 0


def test_nothing_is_known(tmp_path: Path) -> None:
    assert obtainable_bytes(tmp_path / "no", tmp_path / "none") is None


def test_this_process() -> None:
    found = obtainable_bytes()
    assert found is not None
    assert found > 10_000_000


def test_a_ulimit_counts() -> None:
    """In a process of its own, since a limit cannot be taken back."""
    size = "__import__('flare_trt.engine.base.memory_left').engine.base.memory_left.obtainable_bytes()"
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({GB}, {GB})); print({size})"
    done = subprocess.run(
        [sys.executable, "-c", limit], cwd=ROOT, env={"PYTHONPATH": "build/typing"}, capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) < 0.7 * GB


def test_a_scan_that_does_not_fit_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no --max-memory the memory that is left counts: a pass that cannot be had is refused before it allocates."""
    from flare_trt.engine import segmenter as door

    ct = Volume(np.random.default_rng(0).integers(-900, 300, (17, 31, 29)).astype(np.int16), Grid((17, 31, 29), (5.0, 9.0, 8.0)))
    with Segmenter.open(fake_bundle(tmp_path / "fake", fake_spec()), RunOptions(device="cpu", backend="fake")) as segmenter:
        whole = segmenter.segment(ct).labels.array
        monkeypatch.setattr(door, "obtainable_bytes", lambda: 6_000_000)
        np.testing.assert_array_equal(segmenter.segment(ct).labels.array, whole)  # in small pieces
        monkeypatch.setattr(door, "obtainable_bytes", lambda: 100_000)
        with pytest.raises(BudgetError, match=r"a pass needs at least \d+ MB.*; free \d+ MB"):
            segmenter.segment(ct)


@pytest.mark.parametrize("spacing_mm", [(1e7, 1.0, 1.0), (1.0, 600.0, 200.0), (3e38, 1e-3, 1.0)])
def test_a_scan_that_no_body_fills_is_refused(tmp_path: Path, spacing_mm: tuple[float, float, float]) -> None:
    ct = Volume(np.arange(5 * 7 * 9, dtype=np.int16).reshape(5, 7, 9), Grid((5, 7, 9), spacing_mm))
    with (
        Segmenter.open(fake_bundle(tmp_path / "fake", fake_spec()), RunOptions(device="cpu", backend="fake")) as segmenter,
        pytest.raises(InputError, match=r"the scan covers .* m \(z, y, x\) with voxels of .* correct the header"),
    ):
        segmenter.segment(ct)
