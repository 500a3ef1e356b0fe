"""`flare-trt train pseudo-label` with a bundle, from its arguments to the files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.loop import new_state
from flare_trt.training.distil.student import Student
from flare_trt.training.distil.student_bundle import write_student_bundle
from flare_trt.training.prepare.command import configure as configure_prepare
from flare_trt.training.prepare.command import run as run_prepare
from flare_trt.training.pseudo.command import configure, run
from tests.training.distil.distil_fixtures import tiny_config
from tests.training.flare_folder import FolderSpec, make_flare_folder


def test_an_untrained_teacher_fails_the_gates_and_harms_nothing(tmp_path: Path) -> None:
    students = []
    for name in ("coarse", "fine"):
        config = tiny_config(name=name)
        new_state(config).save(tmp_path / f"{name}.pt")
        students.append(Student(config, tmp_path / f"{name}.pt"))
    write_student_bundle(students[0], students[1], tmp_path / "bundle")
    flare = make_flare_folder(tmp_path / "flare", FolderSpec(("a",), ("b",), ("c",)))
    prepare, pseudo = argparse.ArgumentParser(), argparse.ArgumentParser()
    configure_prepare(prepare)
    configure(pseudo)
    run_prepare(prepare.parse_args([str(flare), "--out", str(tmp_path / "raw")]))
    source = tmp_path / "raw/Dataset501_FLAREFine"
    line = [str(source), "--out-id", "511", "--teacher", str(tmp_path / "bundle"), "--device", "cpu", "--soft", "--pictures", "1"]
    assert run(pseudo.parse_args([*line, "--most-pieces", "7", "--most-ignored", "0.25"])) == 0
    fine = tmp_path / "raw/Dataset511_FLAREFine"
    report = json.loads((fine / "pseudo_labels.json").read_text())
    assert (report["limits"]["most_pieces"], report["limits"]["most_ignored"]) == (7, 0.25)
    assert not any(row["passed"] for row in report["cases"].values())
    assert json.loads((fine / "vouched.json").read_text())["b"] == [1, 2, 13]
    assert [file.name for file in (fine / "imagesUnlabeled").iterdir()] == ["c_0000.nii.gz"]
    assert len(list(fine.glob("pseudo_*.png"))) == 1
    soft = np.load(fine / "softTr/c.npz")
    assert soft["classes"].shape == soft["shares"].shape
    assert (soft["box_zyx"][1] > soft["box_zyx"][0]).all()
    assert not list((tmp_path / "raw").glob(".pseudo*"))


def test_flips_of_an_nnunet_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plans.json").write_text("{}")
    parser = argparse.ArgumentParser()
    configure(parser)
    with pytest.raises(InputError, match="--mirrored compares the flips of a bundle"):
        run(parser.parse_args([str(tmp_path), "--out-id", "511", "--teacher", str(tmp_path), "--mirrored"]))
