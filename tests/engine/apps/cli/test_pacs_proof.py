"""Fifty studies through a clinic in which the worker is killed and the PACS restarted: none is lost, none doubled, none wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from tests.engine.apps.pacs import load_run
from tests.engine.apps.pacs.clinic import DICOMWEB, Orthanc, WorkerProcess, deliver, free_port, orthanc, until, worker, write_study
from tests.engine.fake_bundle import fake_bundle, fake_spec

from flare_trt.engine.apps.cli import main

pytest.importorskip("pynetdicom")
STUDIES = 50
_FAKE = ("--backend", "fake", "--device", "cpu", "--threads", "1")


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    if not DICOMWEB.exists():
        pytest.skip("Orthanc's DICOMweb is not installed (apt-get install orthanc orthanc-dicomweb dcmtk)")
    with orthanc(tmp_path / "orthanc", free_port()) as running:
        yield running


def upload(pacs: Orthanc, study: Path) -> None:
    """Store in the archive as another modality does: again, until all is taken."""
    while True:
        try:
            pacs.take(study)
            return
        except httpx.HTTPError:
            time.sleep(0.5)


def enough_done(running: WorkerProcess, count: int) -> bool:
    return running.states().count("done") >= count


@pytest.mark.nightly
def test_fifty_studies_one_kill_9_and_one_restart(pacs: Orthanc, tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "model" / "fake", fake_spec())
    studies = [write_study(tmp_path / "studies" / f"{number:02}", number, 9 + number % 5) for number in range(STUDIES)]
    words = ("--watch", pacs.web, "--send-to", pacs.address, "--quiet", "2")
    with worker(tmp_path / "queue", bundle, *words, port=pacs.worker_port) as running:
        until(running.has_looked, "the first look")
        for number, study in enumerate(studies):
            if number == STUDIES // 3:
                running.gate.unlink()  # tiles take their time
                until(lambda: "running" in running.states(), "a run")
                running.kill()
                running.gate.touch()
                running.start()
            if number == 2 * STUDIES // 3:
                pacs.stop()
                until(lambda: any(one.state == "sending" and one.problem for one in running.studies()), "the outage")
                pacs.start()
            if number % 2:
                upload(pacs, study)
            else:
                deliver(study, running.port)
        for count in range(1, STUDIES + 1):  # each gets the whole time: a machine may be slow, and not stand still
            until(partial(enough_done, running, count), f"result {count}")
        assert running.stop() == 0
    found = pacs.segmentations()
    assert len(found) == STUDIES
    assert [len(pacs.instances(kind)) for kind in ("SR", "RTSTRUCT")] == [STUDIES, STUDIES]
    assert main(["segment", *map(str, studies), "-o", str(tmp_path / "alone" / "{case}.dcm"), "--model", str(bundle), *_FAKE]) == 0
    for study in studies:
        alone = pydicom.dcmread(tmp_path / "alone" / f"{study.name}.dcm")
        seg = found[str(alone.ReferencedSeriesSequence[0].SeriesInstanceUID)]
        assert seg.SOPInstanceUID == alone.SOPInstanceUID
        np.testing.assert_array_equal(seg.pixel_array, alone.pixel_array)


@pytest.mark.nightly
def test_a_minute_of_load(tmp_path: Path) -> None:
    """FLARE_TRT_LOAD_S makes it longer; `python -m tests.engine.apps.pacs.load_run` shows what goes on."""
    load_run.run(float(os.environ.get("FLARE_TRT_LOAD_S", "60")), tmp_path)
