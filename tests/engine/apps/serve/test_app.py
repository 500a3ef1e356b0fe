"""What a running server takes beside the scan: names and prefix, the token, the series."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
from tests.engine.apps.serve.live import JOBS, GatedSegmenter, live, scan_bytes, started
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import read_labels


def test_a_proxy_s_names_and_prefix(tmp_path: Path) -> None:
    """With the prefix passed on or cut off, as proxies do either; addresses that are answered bear it."""
    gated = GatedSegmenter()
    gated.open_gate()
    with (
        started(upload_steps(gated, RunOptions()), Limits(), tmp_path) as service,
        live(service, names=("ct.example.org",), prefix="/radiology") as client,
    ):
        words = {"host": "ct.example.org"}
        for path in (JOBS, f"/radiology{JOBS}"):
            answer = client.post(path, content=scan_bytes(tmp_path), headers=words)
            assert answer.status_code == 202
            assert answer.headers["location"].startswith(f"/radiology{JOBS}/")
            assert client.get(answer.headers["location"], headers=words).status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 400


def test_with_a_token_only_health_is_open(tmp_path: Path) -> None:
    token = "correct-horse-battery"  # noqa: S105
    with started(upload_steps(GatedSegmenter(), RunOptions()), Limits(), tmp_path) as service, live(service, token) as client:
        for words in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Basic {token}"},
            {"authorization": "Bearer é".encode()},
        ):
            for method, path in (("POST", JOBS), ("GET", f"{JOBS}/x"), ("DELETE", f"{JOBS}/x"), ("GET", "/metrics")):
                answer = client.request(method, path, headers=words)
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path, words)
        assert client.get("/metrics", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert [client.get(path).status_code for path in ("/health", "/ready")] == [200, 200]


def test_one_series_of_a_zip_is_chosen(tmp_path: Path) -> None:
    wanted = small_ct((9, 21, 17))
    write_series(tmp_path / "study" / "a", wanted, Look(series_uid="1.2.3"))
    write_series(tmp_path / "study" / "b", small_ct((8, 20, 16)), Look(series_uid="1.2.4"))
    zipped = Path(shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "study")).read_bytes()
    gated = GatedSegmenter()
    gated.open_gate()
    (tmp_path / "jobs").mkdir()
    with started(upload_steps(gated, RunOptions()), Limits(), tmp_path / "jobs") as service, live(service) as client:
        words = {"wait": "true"}
        both = client.post(JOBS, params=words, content=zipped)
        assert both.status_code == 422
        assert "got 2 CT series, expected one; choose it with ?series=UID" in both.json()["detail"]
        assert "1.2.4: number 4" in both.json()["detail"]
        answer = client.post(JOBS, params={**words, "series": "1.2.3"}, content=zipped)
        assert answer.status_code == 200, answer.text
        (tmp_path / "answer.nii.gz").write_bytes(answer.content)
        np.testing.assert_array_equal(read_labels(tmp_path / "answer.nii.gz").array, np.digitize(wanted, [-100, 0, 100]))
        assert client.post(JOBS, params={**words, "series": "1.2.5"}, content=zipped).status_code == 422
        assert client.post(JOBS, params={**words, "series": "../x"}, content=zipped).status_code == 422
        nifti = client.post(JOBS, params={**words, "series": "1.2.3"}, content=scan_bytes(tmp_path))
        words = "the upload: a series can be chosen in a zip of DICOM only; leave ?series= and ?acquisition= out"
        assert nifti.json() == {"detail": words}


def test_one_acquisition_of_a_series_is_chosen(tmp_path: Path) -> None:
    """Two phases, half a slice apart."""
    phases = [small_ct((12, 23, 21), seed=seed) for seed in (1, 2)]
    both = np.stack(phases, axis=1).reshape(24, 23, 21)
    numbered = Look(spacing_mm=(1.5, 0.8, 0.7), change=lambda dataset, z: setattr(dataset, "AcquisitionNumber", 5 + z % 2))
    folder = write_series(tmp_path / "study", both, numbered)
    zipped = Path(shutil.make_archive(str(tmp_path / "study"), "zip", folder)).read_bytes()
    gated = GatedSegmenter()
    gated.open_gate()
    (tmp_path / "jobs").mkdir()
    with started(upload_steps(gated, RunOptions()), Limits(), tmp_path / "jobs") as service, live(service) as client:
        post = partial(client.post, JOBS, headers={})
        woven = post(params={"wait": "true"}, content=zipped)
        assert woven.status_code == 422
        assert "got 2 acquisitions (phases) in one series" in woven.json()["detail"]
        assert "choose it with ?acquisition=N" in woven.json()["detail"]
        for number, phase in zip((5, 6), phases, strict=True):
            answer = post(params={"wait": "true", "acquisition": str(number)}, content=zipped)
            assert answer.status_code == 200, answer.text
            (tmp_path / "answer.nii.gz").write_bytes(answer.content)
            np.testing.assert_array_equal(read_labels(tmp_path / "answer.nii.gz").array, np.digitize(phase, [-100, 0, 100]))
        for number, words in (
            ("7", "got no acquisition 7.*with .acquisition=N"),
            ("x", "acquisition: "),
            ("9" * 12, "acquisition: "),
        ):
            wrong = post(params={"wait": "true", "acquisition": number}, content=zipped)
            assert wrong.status_code == 422
            assert re.search(words, wrong.json()["detail"], re.DOTALL)
            assert "--" not in wrong.json()["detail"]
