"""The same input gives the same bytes: a second time, after other scans, with any number of threads, from any folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.engine.scans.nifti_files import write_raw
from tests.properties.noise_model import write_noise_bundle
from tests.properties.test_stored_values import HU, PLACE

from flare_trt.engine.apps.cli import main
from flare_trt.kernels import limit_threads


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_bundle(tmp_path_factory.mktemp("model") / "noise")


@pytest.fixture(autouse=True)
def _all_threads_afterwards() -> Iterator[None]:
    yield
    limit_threads("native", 0)


def outputs(bundle: Path, scans: Path, out: Path, *words: str) -> dict[str, bytes]:
    """The files of a run over a folder of scans, by name."""
    command = ["segment", str(scans), "-o", str(out), "--preview", str(out), "--model", str(bundle), "--device", "cpu"]
    assert main([*command, *words]) == 0
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for number, array in enumerate((HU, np.ascontiguousarray(HU[::-1, 3:20, :-9]), HU)):
        write_raw(folder / f"case{number}.nii.gz", array.astype("<i2"), PLACE)
    return folder


@pytest.mark.parametrize("words", [["--backend", "openvino"], ["--backend", "onnxruntime"]])
def test_the_same_bytes_twice_and_for_any_number_of_threads(bundle: Path, scans: Path, tmp_path: Path, words: list[str]) -> None:
    first = outputs(bundle, scans, tmp_path / "first", *words, "--threads", "1")
    assert len(first) == 6
    assert first["case0.nii.gz"] == first["case2.nii.gz"] != first["case1.nii.gz"]
    for run, threads in enumerate(("1", "2", "3")):
        assert outputs(bundle, scans, tmp_path / f"run{run}", *words, "--threads", threads) == first


def test_the_same_labels_one_by_one_and_under_a_memory_budget(bundle: Path, scans: Path, tmp_path: Path) -> None:
    first = outputs(bundle, scans, tmp_path / "first", "--threads", "2")
    assert outputs(bundle, scans, tmp_path / "bounded", "--threads", "2", "--max-memory", "600MB") == first
