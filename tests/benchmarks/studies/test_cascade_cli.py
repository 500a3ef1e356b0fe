from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.phantoms import label_map, save_labels

from flare_trt.benchmarks.peers import roster as peers
from flare_trt.benchmarks.peers.roster import LABELS, Task
from flare_trt.benchmarks.studies import cascade_cli

pytest.importorskip("psutil")


@pytest.mark.parametrize(("cut_slices", "code"), [(0, 0), (2, 1)])
def test_what_the_cascade_loses_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cut_slices: int, code: int
) -> None:
    """Segmenting is played by copying label maps; the cascade's lacks some slices."""
    whole = label_map(4, (12, 15, 16), (1, 2))
    cut = np.where(np.arange(12)[:, None, None] < cut_slices, 0, whole).astype(np.uint8)
    for name, labels in (("ct", whole), ("single", whole), ("cascade", cut)):
        save_labels(tmp_path / f"{name}.nii.gz", labels, (2.0, 1.0, 1.0))

    def copy(task: Task, folder: Path, bundle: Path, mode: str) -> list[str]:
        code = "import shutil, sys; shutil.copy(*sys.argv[1:])"
        return [sys.executable, "-c", code, f"{bundle}.nii.gz", str(folder / LABELS)]

    monkeypatch.setattr(peers, "segment_command", copy)
    parser = argparse.ArgumentParser()
    cascade_cli.configure(parser)
    words = [
        tmp_path / "ct.nii.gz",
        "--single",
        tmp_path / "single",
        "--cascade",
        tmp_path / "cascade",
        "--out",
        tmp_path / "r.json",
        "--reference",
        tmp_path / "single.nii.gz",
    ]
    assert cascade_cli.run(parser.parse_args([str(word) for word in words])) == code
    assert "| cascade, exact |" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert [row["name"] for row in result["data"]["rows"]] == ["without coarse", "cascade, exact", "cascade, fast"]
    for check in result["checks"]:
        assert (check["measured"] == 0) == (cut_slices == 0)
    assert [check["name"].split(":")[0] for check in result["checks"]] == ["cascade, exact", "cascade, fast"]
