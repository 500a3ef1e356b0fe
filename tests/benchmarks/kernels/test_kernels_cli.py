from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from flare_trt.benchmarks.kernels import kernel_cases, kernels_cli
from flare_trt.benchmarks.kernels.kernel_cases import KernelCase
from flare_trt.kernels import load


def small_cases() -> list[KernelCase]:
    kernels = load("native")
    return [
        *kernel_cases.pixel_cases(kernels, (9, 21, 33)),
        *kernel_cases.label_cases(kernels, (19, 31, 43)),
        *kernel_cases.ring_cases(kernels, (6, 11, 19)),
        *kernel_cases.resample_cases(kernels, (9, 21, 33), [(9, 15, 29), (14, 25, 33)]),
        *kernel_cases.restore_cases(kernels, (9, 21, 33), (13, 29, 47)),
    ]


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    kernels_cli.configure(parser)
    return parser.parse_args(list(words))


def test_every_kernel_is_compared_and_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr(kernels_cli, "full_size_cases", small_cases)
    assert kernels_cli.run(arguments("--repeats", "2", "--out", str(tmp_path / "kernels.json"))) == 0
    rows = json.loads((tmp_path / "kernels.json").read_text())["data"]["rows"]
    assert {row["name"].split()[0] for row in rows} >= {"blend", "bounds", "components", "resample_spline", "restore_argmax"}
    assert all(row["wall_s"] > 0 and row["gb_s"] > 0 for row in rows)
    assert "| restore_regions" in capsys.readouterr().out


def test_a_wrong_kernel_is_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right = small_cases()[1]
    runs = []

    def wrong() -> tuple[float, float]:
        runs.append(1)
        return 0.0, 1.0

    monkeypatch.setattr(kernels_cli, "full_size_cases", lambda: [right, replace(right, name="broken", ours=wrong)])
    assert kernels_cli.run(arguments("--repeats", "3")) == 1
    printed = capsys.readouterr().out
    assert "| value_range" in printed
    assert "| broken" not in printed
    assert "WRONG, not timed: broken against NumPy: 1.0, limit 0" in printed
    assert len(runs) == 1


def test_organs_have_every_label() -> None:
    labels = kernel_cases.organ_logits((40, 60, 70)).argmax(0)
    assert len(set(labels.ravel())) == kernel_cases.CHANNELS
    assert 0.7 < (labels == 0).mean() < 0.98
