"""`make gpu` itself: without a GPU, with steps that end in every way, and that a plain checkout is enough."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.gpu import __main__ as gate
from tests.gpu import gpu_tests
from tests.gpu.checkout import ROOT, prepare
from tests.gpu.findings import Findings
from tests.gpu.runner import run_steps
from tests.gpu.steps import STEPS, TOTAL_S, Step

from flare_trt.benchmarks.base.result_file import load_result


def sample(*names: str, limit_s: float = 60.0) -> list[Step]:
    return [Step(name.replace("_", " "), f"tests.gpu.sample_steps:{name}", limit_s) for name in names]


def test_without_a_gpu_nothing_runs_and_one_line_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "no_gpu", lambda: "none here")
    assert gate.main([str(tmp_path / "out" / "gpu.json")], sample("works")) == 3
    assert capsys.readouterr().out == "make gpu: no GPU was used: none here\n"
    assert list(tmp_path.iterdir()) == []


def test_a_python_without_packages_says_what_it_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tests.gpu", "gpu.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "lacks a package that everything needs (No module named 'numpy')" in done.stdout


def test_each_step_ends_for_itself(tmp_path: Path) -> None:
    steps = sample("works", "has_a_bad_part", "lacks", "raises", "crashes") + sample("hangs", limit_s=8.0)
    found = {outcome["name"]: outcome for outcome in run_steps(steps, tmp_path, 300.0)}
    assert [outcome["status"] for outcome in found.values()] == ["done", "failed", "not done", "failed", "failed", "failed"]
    assert found["works"]["data"] == {"answer": 42}
    assert found["works"]["notes"] == ["a part: no package x"]
    assert found["has a bad part"]["problems"] == ["first: ValueError: broken"]
    assert found["has a bad part"]["data"] == {"second": True}
    assert found["lacks"]["notes"] == ["no backend"]
    assert found["raises"]["error"].startswith("ended with code 1\n")
    assert found["raises"]["error"].endswith("RuntimeError: out of order")
    assert str(ROOT) not in found["raises"]["error"]
    assert found["raises"]["data"] == {"before": 1}
    assert found["crashes"]["error"].startswith("killed by signal 11")
    assert found["hangs"]["error"].startswith("stopped: it took more than 8 s")
    child = Path("/proc", str(found["hangs"]["data"]["child"]), "cmdline")
    end = time.monotonic() + 20
    while child.exists() and child.read_bytes() and time.monotonic() < end:  # a killed process dies when it is next run
        time.sleep(0.05)
    assert not child.exists() or child.read_bytes() == b""  # gone, or dead and not yet reaped


def test_a_step_without_time_is_not_started(tmp_path: Path) -> None:
    (outcome,) = run_steps(sample("works"), tmp_path, 1.0)
    assert (outcome["status"], outcome["error"]) == ("failed", "not started: the time was up")


@pytest.mark.parametrize(("second", "code"), [("lacks", 0), ("raises", 1), ("is_wrong", 1)])
def test_the_result_is_a_benchmark_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], second: str, code: int
) -> None:
    monkeypatch.setattr(gate, "no_gpu", lambda: None)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    assert gate.main([str(tmp_path / "out" / "gpu.json")], sample("works", second)) == code
    result = load_result(tmp_path / "out" / "gpu.json")
    assert (result.benchmark, result.command) == ("gpu", ["make", "gpu"])
    assert [step["name"] for step in result.data["steps"]] == ["works", second.replace("_", " ")]
    assert bool(result.broken) == (second == "is_wrong")
    told = capsys.readouterr().out
    assert "- works: a part: no package x" in told
    assert ("WRONG: labels differ: 0.5, limit 0.1" in told) == (second == "is_wrong")


def test_the_steps_are_there_and_fit_in_eight_minutes() -> None:
    assert TOTAL_S <= 470
    for step in STEPS:
        module, _, function = step.target.partition(":")
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert f"\ndef {function}(findings: Findings" in text


def test_a_checkout_is_importable_as_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for folder in ("kernels", "engine"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for _ in range(2):  # a second time over the first
        prepare(tmp_path)
    code = "import flare_trt.kernels as k, importlib.metadata as m; print(k.__file__, m.version('flare-trt'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
    assert re.search(r"\d+\.\d+\.\d+", done.stdout)


def test_gpu_tests_are_told_apart(tmp_path: Path) -> None:
    """In a process of its own: pytest inside pytest would share its state."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['gpu: x']\n")
    (tmp_path / "some").mkdir()
    head = "import pytest\npytestmark = pytest.mark.gpu\n"
    body = head + "def test_a(): pass\ndef test_b(): pytest.skip('no card')\ndef test_c(): assert 0\n"
    body += "def test_d(): import not_there.at_all\ndef test_e(): import tests.not_there\n"
    (tmp_path / "some" / "test_some.py").write_text(body)
    (tmp_path / "some" / "test_other.py").write_text("import not_there.at_all\n")
    code = (
        "from pathlib import Path\nfrom tests.gpu import gpu_tests\nfrom tests.gpu.findings import Findings\n"
        f"found = Findings(Path({str(tmp_path / 'found.json')!r}))\n"
        f"gpu_tests.run(found, ('some',), Path({str(tmp_path)!r}))\n"
        "assert found.data['counts'] == {'passed': 1, 'failed': 2, 'skipped': 1, 'not run': 2}, found.data\n"
        "assert ['test_c' in p or 'test_e' in p for p in found.problems] == [True, True], found.problems\n"
        "assert sorted(found.notes) == ['not run, 2: no package not_there', 'skipped, 1: no card'], found.notes\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_marked_test_is_in_the_folders_that_the_gate_runs() -> None:
    marked = [file for file in (ROOT / "tests").rglob("*.py") if "mark.gpu" in file.read_text()]
    assert marked
    for file in marked:
        assert str(file.relative_to(ROOT)).startswith(gpu_tests.FOLDERS), file


def test_without_pytest_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_tests, "find_spec", lambda name: None)
    with pytest.raises(Exception, match="pytest is not installed"):
        gpu_tests.run(Findings(tmp_path / "x.json"))
