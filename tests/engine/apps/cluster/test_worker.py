"""One worker in this process: what it refuses, what it does with a scan."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.cluster.worker import ScanWorker, WorkerSetup
from flare_trt.engine.base.errors import BundleError, InputError, ServiceError
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import read_labels

OPTIONS = RunOptions(device="cpu", backend="fake", threads=1)


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSetup:
    monkeypatch.chdir(tmp_path)
    fake_bundle(tmp_path / "model", fake_spec())
    for name in ("scans", "labels"):
        (tmp_path / name).mkdir()
    write_raw(tmp_path / "scans" / "ct.nii", np.random.default_rng(8).normal(0, 300, (21, 37, 30)).astype("<i2"), AXIAL)
    return WorkerSetup(Path("model"), OPTIONS, tmp_path, (Path("scans"), Path("labels")), version("flare-trt"))


def test_relative_paths_start_where_the_command_was_given(
    setup: WorkerSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    worker = ScanWorker(setup)
    assert worker.open() is None
    done = worker.run(Job(Path("scans/ct.nii"), Path("labels/ct.nii.gz")))
    assert done.written is not None
    assert (done.error, done.written.labels) == (None, "ct.nii.gz")
    assert read_labels(tmp_path / "labels" / "ct.nii.gz").array.any()
    failed = worker.run(Job(Path("scans/none.nii"), Path("labels/none.nii.gz")))
    assert isinstance(failed.error, InputError)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"folders": (Path("elsewhere"),)}, ServiceError, "the folder elsewhere is not there"),
        ({"working_folder": Path("gone")}, ServiceError, "the folder gone is not there"),
        ({"program": "0.0.1"}, ServiceError, "expected 0.0.1; install that there"),
        ({"bundle": Path("none")}, BundleError, "none"),
    ],
)
def test_a_node_that_is_not_like_the_others(setup: WorkerSetup, changes: dict[str, object], error: type, message: str) -> None:
    found = ScanWorker(replace(setup, **changes)).open()  # type: ignore[arg-type]
    assert isinstance(found, error)
    assert message in str(found)


def test_an_unopened_worker(setup: WorkerSetup) -> None:
    with pytest.raises(RuntimeError, match="not been opened"):
        ScanWorker(setup).run(Job(Path("scans/ct.nii"), Path("labels/ct.nii.gz")))
