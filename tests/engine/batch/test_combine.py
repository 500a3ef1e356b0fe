"""Models that share out a data set's classes give one label map, one model at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import BudgetError, InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.combine import combine, combined_names
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.engine.segmenter import Segmenter

CPU = RunOptions(device="cpu", threads=1)
#: Bands of intensity of one tiny network: the first finds the lower two of its three labels, the others the highest.
PARTS = {"low": ("bladder", "colon", ""), "high": ("", "", "spleen"), "again": ("", "", "kidney")}


def part(name: str, folder: Path) -> Path:
    """A tiny bundle whose channels of unnamed labels stand for the background."""
    with open_bundle(write_tiny_bundle(folder / f"{name}_tiny")) as tiny:
        labels = tuple(LabelSpec(value, word, "#aa3311") for value, word in enumerate(PARTS[name], 1) if word)
        values = (0, *(value if word else 0 for value, word in enumerate(PARTS[name], 1)))
        spec = replace(tiny.spec, name=name, labels=labels, fine=replace(tiny.spec.fine, channel_values=values))
        write_bundle(spec, {"fine.onnx": tiny.folder / "fine.onnx"}, folder / name)
    return folder / name


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [part(name, tmp_path) for name in ("low", "high")]


@pytest.fixture
def ct() -> Volume:
    ramp = np.linspace(-300, 405, 31 * 41 * 43).reshape(31, 41, 43).astype(np.int16)
    return Volume(ramp, Grid(ramp.shape, (3.0, 2.0, 2.0)))


def silent(model: str) -> object:
    return lambda stage, done, total: None


def test_each_model_paints_its_labels_under_the_merged_values(parts: list[Path], ct: Volume) -> None:
    names = combined_names(parts, {7: "spleen", 9: "colon", 200: "bladder", 11: "unused"})
    merged = combine(ct, parts, names, CPU, silent).labels.array  # type: ignore[arg-type]
    expected = np.zeros_like(merged)
    for path, table in zip(parts, ({1: 200, 2: 9}, {3: 7}), strict=True):
        with Segmenter.open(path, CPU) as segmenter:
            own = segmenter.segment(ct).labels.array
        for value, wanted in table.items():
            expected[own == value] = wanted
    assert np.unique(expected).tolist() == [0, 7, 9, 200]
    np.testing.assert_array_equal(merged, expected)


def test_later_models_paint_over(parts: list[Path], ct: Volume, tmp_path: Path) -> None:
    """The same network again, which calls its third label otherwise."""
    names = combined_names([*parts, again := part("again", tmp_path)])
    assert names == {1: "bladder", 2: "colon", 3: "spleen", 4: "kidney"}
    merged = combine(ct, [*parts, again], names, CPU, silent).labels.array  # type: ignore[arg-type]
    assert np.unique(merged).tolist() == [0, 1, 2, 4]


def test_labels_without_a_value_and_budgets_that_are_too_small_are_refused(parts: list[Path], ct: Volume) -> None:
    with pytest.raises(InputError, match=r"the models also find bladder, spleen; give each"):
        combined_names(parts, {1: "colon"})
    big = Volume(np.lib.stride_tricks.as_strided(ct.array, (500, 512, 512), (0, 0, 2)), Grid((500, 512, 512), (1.0, 1.0, 1.0)))
    with pytest.raises(BudgetError, match=r"the merged labels alone take 132 MB"):
        combine(big, parts, combined_names(parts), replace(CPU, max_memory_mb=100), silent)  # type: ignore[arg-type]


@pytest.mark.parametrize(("threads", "ahead"), [("0", 1), ("1", 0)])
def test_one_thread_unpacks_nothing_ahead(
    parts: list[Path], ct: Volume, tmp_path: Path, unpacked_ahead: list[object], threads: str, ahead: int
) -> None:
    write_ct(tmp_path / "ct.nii.gz", ct)
    words = ["combine", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "all.nii.gz"), "--models", str(parts[0])]
    assert main([*words, "--device", "cpu", "--threads", threads]) == 0
    assert len(unpacked_ahead) == ahead


def test_command(parts: list[Path], ct: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ct(tmp_path / "ct.nii.gz", ct)
    words = ["combine", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "all.nii.gz"), "--models", *map(str, parts)]
    assert main([*words, "--device", "cpu", "--max-memory", "500MB"]) == 0
    assert json.loads((tmp_path / "all.json").read_text()) == {"1": "bladder", "2": "colon", "3": "spleen"}
    merged = read_labels(tmp_path / "all.nii.gz")
    assert np.unique(merged.array).tolist() == [0, 1, 2, 3]
    assert merged.grid.same_place(ct.grid)
    assert "3 labels of 2 models" in capsys.readouterr().out
    assert main([*words[:3], str(tmp_path / "all.mhd"), *words[4:]]) == 1
    assert "expected a name that ends in .nii" in capsys.readouterr().err
