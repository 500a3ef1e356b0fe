from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.training.tumours import partial
from flare_trt.training.tumours.found_sheet import PICTURE, PLACE_RGB, SLICES, FoundInCt, write_found_sheet
from flare_trt.training.tumours.partial import Ball
from flare_trt.training.tumours.sheet import OUTLINE_RGB
from tests.engine.tiny_bundle import write_tiny_bundle


def test_pieces_are_counted_in_places_and_elsewhere_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network calls its brightest band tumour."""
    labels = (LabelSpec(1, "liver", "#aa3311"), LabelSpec(2, "spleen", "#11aa33"), LabelSpec(3, "tumour", "#3311aa"))
    bundle = write_tiny_bundle(tmp_path / "tiny", labels=labels)
    hu = np.full((41, 60, 62), 40, np.int16)
    hu[5:10, 10:20, 10:20] = 290  # in the first place
    hu[20:26, 30:42, 30:42] = 290  # in none
    places = (Ball((21, 30, 30), 12), Ball((100, 80, 80), 8))
    monkeypatch.setattr(partial, "UNDRAWN", {"case": places})
    scan = tmp_path / "case" / "ct.nii.gz"
    scan.parent.mkdir()
    write_ct(scan, Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0))))  # type: ignore[arg-type]  # three axes
    (found,) = write_found_sheet(bundle, [scan], tmp_path / "found.png")
    assert found == FoundInCt("case", (10.4, 6.0), 1, 1, 2)

    from PIL import Image

    picture = np.asarray(Image.open(tmp_path / "found.png"))
    assert picture.shape == (PICTURE, SLICES * PICTURE, 3)
    red, blue = (np.all(picture == colour, -1).reshape(PICTURE, SLICES, PICTURE).sum((0, 2)) for colour in (OUTLINE_RGB, PLACE_RGB))
    assert red.tolist()[:3] == [44, 36, 0]  # the outlines of 12 x 12 and 10 x 10 voxels; then the other place
    assert (blue > 0).tolist()[:3] == [False, True, True]


def test_the_command_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    scan = tmp_path / "case" / "ct.nii.gz"
    scan.parent.mkdir()
    hu = np.full((17, 30, 31), 40, np.int16)
    hu[3:9] = 300
    write_ct(scan, Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0))))  # type: ignore[arg-type]  # three axes
    from flare_trt.engine.apps.cli import main

    assert main(["train", "tumours", "found", str(scan), "--model", str(bundle), "-o", str(tmp_path / "found.png")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["case", "-", "0", "0", "of", "0"]
    assert (tmp_path / "found.png").stat().st_size > 1000
