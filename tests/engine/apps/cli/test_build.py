"""`flare-trt build` on the fake TensorRT, and where there is no GPU."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.fakes import fake_cupy, fake_tensorrt

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import NetworkFile
from flare_trt.engine.networks.tensorrt_.cache import cache_folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


@pytest.mark.parametrize(("words", "precision"), [([], "fp32"), (["--mode", "fast"], "fp16")])
def test_engines_are_built_once(
    bundle: Path,
    tmp_path: Path,
    words: list[str],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_cupy.installed(), fake_tensorrt.installed():
        for told in (r"built in \d+ s", "is in the cache already"):
            assert main(["build", str(bundle), *words]) == 0
            assert re.fullmatch(rf"fine\.onnx {precision} for cuda:0: {told}\n", capsys.readouterr().out)
    (engine,) = cache_folder().glob("*.engine")
    assert f"-{precision}-Fake-GPU-sm86" in engine.name


def test_engines_are_those_of_the_modes_networks(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_int8(bundle)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_cupy.installed(), fake_tensorrt.installed():
        for mode, file in (("exact", "fine.onnx"), ("half", "fine.onnx"), ("fast", "fine.int8.onnx")):
            assert main(["build", str(bundle), "--mode", mode]) == 0
            assert capsys.readouterr().out.startswith(f"{file} ")


def with_int8(bundle: Path) -> None:
    """Name a second file among the fast settings of the bundle; what it computes does not matter here."""
    with open_bundle(bundle) as opened:
        spec, (network,) = opened.spec, opened.network_files(opened.spec.fine)
    fast = replace(spec.fine.fast, networks=(NetworkFile("fine.int8.onnx"),))
    copy = bundle.with_name("fine.int8.onnx")
    shutil.copyfile(network, copy)
    kept = shutil.copyfile(network, bundle.with_name("kept.onnx"))
    changed = replace(spec, fine=replace(spec.fine, fast=fast))
    write_bundle(changed, {"fine.onnx": kept, "fine.int8.onnx": copy}, bundle)


def test_without_a_gpu_it_exits_3_with_one_line(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_cupy.installed():
        monkeypatch.setattr(sys.modules["cupy"], "is_available", lambda: False)
        assert main(["build", str(bundle)]) == 3
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "CuPy finds no NVIDIA GPU" in captured.err
    assert captured.out == ""


def test_a_cpu_is_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(bundle), "--device", "cpu"]) == 3
    assert "backend tensorrt: needs an NVIDIA GPU" in capsys.readouterr().err
