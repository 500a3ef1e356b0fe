from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.benchmarks.studies.scaling import Bench, Case, cases, exponent
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.scans.image_files import read_labels

SMALL = Case("slices", 61, (61, 78, 86), 5, 1)


def test_a_case_is_measured_and_its_labels_are_those_of_the_reference_kernels(tmp_path: Path) -> None:
    for package in ("onnx", "openvino", "psutil"):
        pytest.importorskip(package)
    bench = Bench(tmp_path)
    point = bench.run(SMALL)
    assert point["value"] == 61
    assert point["voxels"] == 61 * 78 * 86
    assert point["tiles"] >= 4
    assert 0 < sum(point["stages"].values()) < point["wall_s"]
    assert point["peak_mb"] > 50
    labels = read_labels(bench.labels(SMALL)).array
    assert labels.shape == SMALL.shape_zyx
    assert len(set(labels.ravel().tolist())) > 1
    assert bench.differing_from_reference(SMALL) <= 1e-4


def test_a_run_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    bench = Bench(tmp_path)
    bench.scan(SMALL)
    (tmp_path / "classes5").mkdir()
    with pytest.raises(FlareError, match=r"slices 61 ended with exit code 1: flare-trt: .*bundle"):
        bench.run(SMALL)


def test_exponents() -> None:
    points = [{"value": n, "a": 3.0 * n, "b": 5.0 + 0 * n, "c": 100 + n**2} for n in (1, 10, 100, 1000, 10000)]
    assert exponent(points, "a") == pytest.approx(1.0)
    assert exponent(points, "b") == pytest.approx(0.0)
    assert exponent(points, "c") == pytest.approx(2.0, abs=0.1)  # the start-up of 100 does not show
    assert exponent(points[:2], "a") is None


def test_the_series_cover_what_they_say() -> None:
    found = cases(cores=2)
    by_series = {name: [c.value for c in found if c.series == name] for name in {c.series for c in found}}
    assert (by_series["slices"][0], by_series["slices"][-1]) == (50, 1400)
    assert (by_series["classes"][0], by_series["classes"][-1]) == (2, 118)
    assert by_series["cores"] == [1, 2]
    assert all(c.shape_zyx[0] == c.value for c in found if c.series == "slices")
