"""DICOM in, DICOM out: what a zip of a series gets beside NIfTI, and what a NIfTI file does not."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from tests.engine.apps.serve.live import JOBS, GatedSegmenter, live, scan_bytes, started
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series
from tests.engine.scans.dicom.test_tilt import tilted_series

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.segmenter import Segmenter

KINDS = {"seg": "SEG", "sr": "SR", "rtstruct": "RTSTRUCT"}
DICOM = {"accept": "application/dicom"}


@pytest.fixture
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    bundle = fake_bundle(tmp_path_factory.mktemp("model") / "fake", fake_spec())
    with (
        Segmenter.open(bundle, RunOptions(device="cpu", backend="fake")) as segmenter,
        started(upload_steps(segmenter, RunOptions()), Limits(timeout_s=60), tmp_path_factory.mktemp("jobs")) as service,
        live(service) as opened,
    ):
        yield opened


def zipped(folder: Path, look: Look | None = None) -> bytes:
    write_series(folder / "ct", small_ct((9, 33, 29)), look or Look(spacing_mm=(3.0, 2.1, 2.0)))
    return Path(shutil.make_archive(str(folder / "study"), "zip", folder / "ct")).read_bytes()


def dataset(answer: httpx.Response) -> pydicom.Dataset:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom")
    return pydicom.dcmread(io.BytesIO(answer.content))


def test_a_dicom_upload_gets_dicom_results(client: httpx.Client, tmp_path: Path) -> None:
    look = Look(spacing_mm=(3.0, 2.1, 2.0))
    seg = dataset(client.post(JOBS, params={"wait": "true"}, content=zipped(tmp_path, look), headers=DICOM))
    assert (seg.Modality, seg.StudyInstanceUID) == ("SEG", look.study_uid)
    answer = client.post(JOBS, params={"wait": "true"}, content=(tmp_path / "study.zip").read_bytes())
    assert answer.headers["content-type"] == "application/gzip"
    (tmp_path / "labels.nii.gz").write_bytes(answer.content)
    labels, job = read_labels(tmp_path / "labels.nii.gz").array, answer.headers["location"]
    for kind, modality in KINDS.items():
        found = dataset(client.get(f"{job}/{kind}"))
        assert (found.Modality, found.StudyInstanceUID) == (modality, look.study_uid)
    again = dataset(client.get(f"{job}/labels", headers=DICOM))
    assert again.SOPInstanceUID == seg.SOPInstanceUID
    assert np.count_nonzero(again.pixel_array) == np.count_nonzero(labels)
    picture = client.get(f"{job}/preview")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert client.get(f"{job}/report").json()["organs"]


def test_a_nifti_upload_has_none(client: httpx.Client, tmp_path: Path) -> None:
    content = scan_bytes(tmp_path)
    answer = client.post(JOBS, params={"wait": "true"}, content=content, headers=DICOM)
    assert (answer.status_code, answer.json()["detail"]) == (406, "DICOM results are made of a zip of DICOM, got a NIfTI file")
    job = client.post(JOBS, params={"wait": "true"}, content=content).headers["location"]
    assert {client.get(f"{job}/{kind}").status_code for kind in KINDS} == {406}
    assert client.get(f"{job}/preview").status_code == 200


def test_a_series_that_nothing_can_refer_to_still_gets_labels(client: httpx.Client, tmp_path: Path) -> None:
    def without_frame(image: pydicom.Dataset, z: int) -> None:
        del image.FrameOfReferenceUID

    content = zipped(tmp_path, Look(spacing_mm=(3.0, 2.1, 2.0), change=without_frame))
    answer = client.post(JOBS, params={"wait": "true"}, content=content)
    assert answer.status_code == 200
    refused = client.get(f"{answer.headers['location']}/seg")
    assert refused.status_code == 406
    assert refused.json()["detail"].startswith("the upload: the series has no FrameOfReferenceUID, expected UIDs for DICOM outputs")


def test_a_tilted_gantry_is_refused_unless_the_server_corrects_it(tmp_path: Path) -> None:
    content = Path(shutil.make_archive(str(tmp_path / "study"), "zip", tilted_series(tmp_path / "ct", 19.0)[0])).read_bytes()
    gated = GatedSegmenter()
    gated.open_gate()
    for correct, code in ((False, 422), (True, 200)):
        (tmp_path / str(correct)).mkdir()
        steps = upload_steps(gated, RunOptions(), correct)
        with started(steps, Limits(timeout_s=600), tmp_path / str(correct)) as service, live(service) as client:
            answer = client.post(JOBS, params={"wait": "true"}, content=content)
            assert answer.status_code == code, answer.text
            if correct:
                (tmp_path / "labels.nii.gz").write_bytes(answer.content)
                grid = DicomReader(tmp_path / "ct", correct_tilt=True).grid
                assert read_labels(tmp_path / "labels.nii.gz").grid.same_place(grid)
                assert client.post(JOBS, params={"wait": "true"}, content=scan_bytes(tmp_path)).status_code == 200
            else:
                assert "with a server that runs with --correct-tilt" in answer.json()["detail"]
