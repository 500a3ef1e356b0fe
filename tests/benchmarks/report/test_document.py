"""The document made of result files, and the results that it refuses."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from flare_trt.benchmarks.base.result_file import Result
from flare_trt.benchmarks.gpu_plan.paper import TABLE_4
from flare_trt.benchmarks.gpu_plan.roofline import roofline_rows
from flare_trt.benchmarks.report import report_cli
from flare_trt.benchmarks.report.document import write_report
from flare_trt.benchmarks.report.sections import SECTIONS
from flare_trt.engine.base.errors import InputError

pytest.importorskip("matplotlib")

MEMORY = {"peak_mb": 900.0, "true_mb_s": 5000.0}
SAMPLES = {"time_s": [0.0, 0.1, 0.2], "tree_rss_mb": [10.0, 900.0, 20.0], "gpu_tree_mb": [0.0, None, 5.0]}


def peer(name: str, wall_s: float, **stages: float) -> dict[str, Any]:
    return {
        "name": name,
        "about": f"about {name}",
        "problem": None,
        "wall_s": wall_s,
        "cpu_s": 2 * wall_s,
        "others_share": 0.25,
        "memory": {"tree_pss": MEMORY, "tree_rss": MEMORY},
        "dice": 0.9,
        "dice_to_whole": 0.999,
        "dice_to_exact": 0.998,
        "equal_to_exact": 0.9999,
        "tiles": {"coarse": 1, "fine": 8},
        "tiles_run": None,
        "roi": "enlarged",
        "differing": 0.00001,
        "least_dice": 0.9995,
        "stages": stages,
        "samples": SAMPLES,
        "runs": [],
    }


ROWS = [peer("nnU-Net", 20.0, **{"import": 4.0, "network": 10.0}), peer("flare-trt exact", 8.0, read=0.5, network=6.0)]
ABSENT = {"name": "absent", "about": "x", "problem": "not installed: torch"}
STEP = {"status": "done", "seconds": 1.0, "error": "", "problems": [], "notes": ["no package x"]}
GPU_DATA = {
    "networks": {
        "backend": "tensorrt",
        "networks": [
            {"network": "fine", "precision": "fp32", "open_s": 9.0, "run_ms": 3.0, "largest_error_std": 1e-5, "equal_argmax": 1.0}
        ],
    },
    "kernels": {
        "copy_gb_s": {"device": 900.0, "up": 10.0, "down": 9.0},
        "rows": [{"name": "blend", "us": 50.0, "gb_s": 700.0, "of_copy": 0.78}],
    },
}
SCAN = {"case": "ts", "shape_zyx": [30, 20, 10]}
POINTS = [
    {
        "value": n,
        "wall_s": n / 50,
        "cpu_s": n / 25,
        "peak_mb": 200 + n,
        "tiles": n,
        "floor_s": n / 99,
        "others_share": 0.02,
        "stages": {"network": n / 60},
    }
    for n in (50, 100, 200, 400)
]
AGAINST_ROW = {
    "scan": "ct.nii.gz",
    "mode": "fast",
    "caches": "filled",
    "same_weights": True,
    "wall_s": [4.0, 2.0, 0.5],
    "cpu_s": [8.0, 4.0, 0.51],
    "peak_mb": [900.0, 800.0, 0.89],
    "dice": 0.9991,
    "reference_before": None,
    "reference_after": 0.84,
    "others_share": 0.05,
}
EXPORT_ROW = {"network": "small 96", "ct": "case.nii.gz", "mirrored": False, "parameters": 66_200, "patch_zyx": [96, 96, 96]} | {
    "export": {"cpu_s": 24.9, "peak_mb": 1160.0},
    "nnU-Net": {"cpu_s": 23.3},
    "openvino": {"cpu_s": 3.8, "differing": 3.6e-6, "least_dice": 0.99999},
    "onnxruntime": {"cpu_s": 4.1, "differing": 2.9e-6, "least_dice": None},
}
SPEED_ROW = {
    "model": "paper fine",
    "wall_s": 60.0,
    "cpu_s": 100.0,
    "peak_mb": 4000.0,
    "area_mb_s": 9e4,
    "tiles": None,
    "others": 0.1,
}
SPEED_ROWS = [SPEED_ROW | {"engine": "exact", "cpu_s": 40.0, "differing": 2e-6}, SPEED_ROW | {"engine": "nnU-Net"}]
HALF_ROW = {
    "what": "nnU-Net, autocast beside fp32",
    "case": "ts",
    "voxels": 2000,
    "differing": 3,
    "mean_dice": 0.99,
    "least_dice": 0.98,
}
DATA: dict[str, dict[str, Any]] = {
    "speed": {"ct": "ts", "rows": SPEED_ROWS},
    "half": {"rows": [HALF_ROW | {"full_cpu_s": 9.0, "half_cpu_s": 4.0}]},
    "against": {"before": "a" * 40, "after": "b" * 40, "extras": "dicom", "packages": [], "rows": [AGAINST_ROW]},
    "export": {"rows": [EXPORT_ROW]},
    "peers": {"scan": SCAN, "rows": [*ROWS, ABSENT]},
    "nnunet": {"scan": SCAN, "rows": ROWS},
    "cascade": {"scan": {"shape_zyx": [30, 20, 10]}, "rows": ROWS},
    "tricks": {"scan": SCAN, "rows": [*ROWS, ABSENT]},
    "scaling": {"series": {"slices": POINTS, "cores": POINTS[:2]}},
    "floor": {
        "model": "tiny",
        "matmul_gflops": 180.0,
        "convolution_gflops": 215.0,
        "rows": [{"network": "fine", "gflop": 1103.3, "floor_s": 5.1, "measured_s": 5.4}],
    },
    "gpu": {"steps": [STEP | {"name": name, "data": data} for name, data in GPU_DATA.items()]},
    "roofline": {"spacing_mm": [2.5, 0.8, 0.8], "organs_mm": [300, 200, 320], "rows": roofline_rows(TABLE_4[:1])},
    "budget": {
        "rows": [{"slices": 700, "classes": 118, "budget_mb": 1500, "bounded_mb": 866.2, "free_mb": 1170.1, "changed": 0.0}]
    },
    "metrics": {"structures": 12, "shape_zyx": [133, 512, 512], "ratio": 11.4, "ours_s": [0.3], "theirs_s": [3.4]},
    "kernels": {
        "threads": 0,
        "rows": [
            {"name": "blend", "peer": "NumPy", "wall_s": 0.02, "cpu_s": 0.04, "peer_s": 0.3, "peer_cpu_s": 0.3, "gb_s": 13.0}
            | {"difference": 0.0, "limit": 0.0}
        ],
    },
}


def write(folder: Path, benchmark: str, measured: float | None = 0.0) -> None:
    folder.mkdir(exist_ok=True)
    machine = {"cpu": "Some CPU", "cores": 2, "memory_gb": 24.0, "gpu": None, "system": "6.1", "load": 0.1}
    checks = [{"name": "labels", "measured": measured, "limit": 1e-4}]
    command = ["flare-trt", "bench", benchmark]
    result = Result(
        benchmark, "2026-01-02 03:04 UTC", machine, {"numpy": "2.4"}, "abc123", command, checks, DATA.get(benchmark, {})
    )
    (folder / f"{benchmark}-case.json").write_text(json.dumps(asdict(result)))


def test_every_kind_has_its_section_with_numbers_and_origin(tmp_path: Path) -> None:
    for benchmark in SECTIONS:
        write(tmp_path / "results", benchmark)
    write_report(tmp_path / "results", tmp_path / "benchmarks.md")
    text = (tmp_path / "benchmarks.md").read_text()
    for benchmark, section in SECTIONS.items():
        assert f"## {section.title}\n" in text
        assert f"### {benchmark}-case" in text
        assert f"`flare-trt bench {benchmark}`" in text
    assert text.count("labels: 0 (limit 0.0001)") == len(SECTIONS)
    assert "on Some CPU, 2 cores, 24.0 GB, no GPU" in text
    assert "absent did not run: not installed: torch" in text
    assert "FastSegmentator" in text
    assert "wall time: 8.00 / 20.00 = 0.400" in text
    assert "stages: exponent 1.00" in text
    assert "11.4 times faster" in text
    assert "Threads of ours: 2" in text
    assert "voxels of 0.8 x 0.8 x 2.5 mm" in text
    assert "| fine network " in text
    assert "| blend  | 20.0      | NumPy | 300 " in text
    images = {path.name for path in (tmp_path / "img").iterdir()}
    assert images == {f"{name}-case.svg" for name in ("peers", "nnunet", "cascade", "scaling")}
    assert all(f"(img/{name})" in text for name in images)


def test_the_same_results_give_the_same_document_and_plots(tmp_path: Path) -> None:
    write(tmp_path / "results", "peers")
    first, second = tmp_path / "a" / "x.md", tmp_path / "b" / "x.md"
    for document in (first, second):
        document.parent.mkdir()
        write_report(tmp_path / "results", document)
    assert first.read_bytes() == second.read_bytes()
    assert (first.parent / "img" / "peers-case.svg").read_bytes() == (second.parent / "img" / "peers-case.svg").read_bytes()


@pytest.mark.parametrize("measured", [0.5, None])
def test_a_result_whose_labels_were_wrong_is_refused(tmp_path: Path, measured: float | None) -> None:
    write(tmp_path / "results", "floor")
    write(tmp_path / "results", "peers", measured)
    with pytest.raises(InputError, match=r"peers-case\.json: its labels were wrong"):
        write_report(tmp_path / "results", tmp_path / "benchmarks.md")
    assert not (tmp_path / "benchmarks.md").exists()


def test_an_unknown_kind_and_an_empty_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no result"):
        write_report(tmp_path, tmp_path / "benchmarks.md")
    write(tmp_path / "results", "astrology")
    with pytest.raises(InputError, match="'astrology'"):
        write_report(tmp_path / "results", tmp_path / "benchmarks.md")


def test_the_command_writes_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "results", "metrics")
    parser = argparse.ArgumentParser()
    report_cli.configure(parser)
    words = ["--results", str(tmp_path / "results"), "--document", str(tmp_path / "d.md")]
    assert report_cli.run(parser.parse_args(words)) == 0
    assert "d.md written" in capsys.readouterr().out
