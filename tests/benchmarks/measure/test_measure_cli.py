from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from tests.benchmarks.phantoms import save_labels

from flare_trt.benchmarks import cli

pytest.importorskip("psutil")


def bench(*words: object) -> int:
    parser = argparse.ArgumentParser()
    cli.configure(parser)
    return cli.run(parser.parse_args([str(word) for word in words]))


def test_table_json_and_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = save_labels(tmp_path / "scan.nii.gz", np.zeros((5, 6, 7), np.uint8), (1.0, 1.0, 1.0))
    options = "--interval", 0.02, "--out", tmp_path / "m.json", "--case", scan
    assert bench("measure", *options, "--", "sh", "-c", "sleep 0.1; exit 5", "--interval", "x") == 5
    shown = capsys.readouterr().out
    assert "| scan.nii.gz | 7 x 6 x 5 | tree_rss" in shown
    assert "exit code 5" in shown
    document = json.loads((tmp_path / "m.json").read_text())
    assert document["command"] == ["sh", "-c", "sleep 0.1; exit 5", "--interval", "x"]
    assert document["memory"]["tree_rss"]["true_mb_s"] > 0
    assert len(document["samples"]["time_s"]) == len(document["samples"]["tree_rss_mb"])


@pytest.mark.parametrize("name", ["memory.svg", "memory.png"])
def test_plot_of_a_command_with_stages(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    line = '{"stage": "nap", "start_s": \'$start\', "stop_s": \'$(date +%s.%N)\'}'
    mark = f"start=$(date +%s.%N); sleep 0.2; echo '{line}' >> $FLARE_TRT_STAGES"
    assert bench("measure", "--plot", tmp_path / name, "--", "sh", "-c", mark) == 0
    assert "  nap: 0.2" in capsys.readouterr().out
    content = (tmp_path / name).read_bytes()
    if name.endswith("png"):
        assert content.startswith(b"\x89PNG")
    else:
        assert b"nap" in content
        assert b"host, RSS" in content
