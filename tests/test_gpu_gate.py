"""The GPU gate says that there is no GPU, and tells passes from failures where there is one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import gpu_gate


def test_without_a_gpu_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gpu_gate, "cuda_problem", lambda: "none here")
    assert gpu_gate.main([str(tmp_path / "gpu.json")]) == 3
    assert capsys.readouterr().out == "make gpu: no GPU was used: none here\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_what_ran_is_written(tmp_path: Path, fails: bool) -> None:
    """In a process of its own: pytest inside pytest would share its state."""
    folder = tmp_path / "tests"
    folder.mkdir()
    body = "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no')\n" + "def test_c(): assert 0\n" * fails
    (folder / "test_some.py").write_text(body)
    code = (
        "import sys\nfrom tests import gpu_gate\ngpu_gate.cuda_problem = lambda: None\n"
        f"sys.exit(gpu_gate.main([{str(tmp_path / 'out' / 'gpu.json')!r}], [{str(folder)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=gpu_gate.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == int(fails), done.stdout + done.stderr
    told = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert told["counts"] == {"passed": 1, "failed": int(fails), "skipped": 1}
    assert len(told["failures"]) == int(fails)
    assert told["inventory"]["kernels"]
