"""nnU-Net's 3d_cascade_fullres against the real nnUNetPredictor: both stages in one bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flare_trt.engine.apps.cli import main
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.base.errors import DeviceError
from flare_trt.engine.batch.ensemble import Ensemble
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import open_image, read_ct, read_labels
from flare_trt.engine.scans.scan_reader import spooled_ct
from flare_trt.engine.segmenter import Segmenter
from tests.engine.apps.pacs.clinic import WorkerProcess, free_port, program, send, until, write_study
from tests.engine.apps.serve.live import JOBS, live, started
from tests.engine.test_nnunet_parity import EXACT, hold_to_promise
from tests.engine.test_other_intensities import exported, mr_scan
from tests.golden.made import Made, organ_image, write_scan

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

LOW = Made((("CT", "CTNormalization", False),), spacing_mm=(4.2, 3.1, 2.9), patch=(16, 24, 20), classes=5)
MR = replace(LOW, channels=(("MR", "ZScoreNormalization", True),), transpose=(2, 0, 1), reader="NibabelIOWithReorient", seed=2)


def ct_scan(path: Path, orientation: str = "LPS") -> Path:
    image = (40 + 120 * organ_image((29, 47, 41))).astype(np.int16)
    image[:, :4] = 0  # a border that nnU-Net crops
    image[12:16, 4:9, 20:26] = 0  # and a bay of it, outside of the nonzero mask
    return write_scan(path, image, (2.3, 1.3, 1.2), orientation)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second stage's folder, with the first beside it and their bundle."""
    folder = LOW.write_cascade(tmp_path_factory.mktemp("cascade"))
    exported(folder)
    return folder


def peer_labels(folder: Path, scan: Path, mirror: bool = False) -> NDArray[np.uint8]:
    from tests.golden.nnunet_peer import predict_with_nnunet

    previous = folder.with_name("nnUNetTrainer__nnUNetPlans__3d_lowres")
    theirs = predict_with_nnunet(folder, scan, mirroring=mirror, previous=previous)
    assert (np.bincount(theirs.ravel()) > 300).sum() >= 3, "too few contested voxels to mean anything"
    return theirs


def our_labels(folder: Path, scan: Path, options: RunOptions = EXACT) -> NDArray[Any]:
    with Segmenter.open(folder.with_name("bundle"), options) as segmenter:
        segmented = segmenter.segment(read_ct(scan))
    assert set(segmented.report.tiles) == {"coarse", "fine"}
    return np.asarray(segmented.labels.array)


@pytest.mark.parametrize(("orientation", "mirror"), [("LPS", False), ("RAS", True), ("PIR", False)])
def test_labels_equal_nnunets(orientation: str, mirror: bool, trained: Path, tmp_path: Path) -> None:
    scan = ct_scan(tmp_path / "ct.nii.gz", orientation)
    hold_to_promise(our_labels(trained, scan, replace(EXACT, mirror=mirror)), peer_labels(trained, scan, mirror))


def test_mr_in_zeros_reoriented_and_transposed(tmp_path: Path) -> None:
    """Labels of the first stage outside of the nonzero mask count as inside for the normalisation, as in nnU-Net."""
    folder, scan = MR.write_cascade(tmp_path / "results"), mr_scan(tmp_path / "mr.nii.gz", "PIR", dtype=np.float32)
    exported(folder)
    hold_to_promise(our_labels(folder, scan), peer_labels(folder, scan))


def test_other_ways_to_the_same_labels(trained: Path, tmp_path: Path) -> None:
    """From the disk, in a budget of small slabs, on the other backend; and an ensemble of one bundle, from its probabilities."""
    scan = ct_scan(tmp_path / "ct.nii.gz")
    expected = our_labels(trained, scan)
    with Segmenter.open(trained.with_name("bundle"), replace(EXACT, max_memory_mb=300)) as segmenter:
        assert np.array_equal(segmenter.segment(spooled_ct(open_image(scan))).labels.array, expected)
    hold_to_promise(our_labels(trained, scan, replace(EXACT, backend="onnxruntime")), expected)
    bundle = trained.with_name("bundle")
    with Ensemble([bundle, bundle], EXACT) as ensemble:
        hold_to_promise(ensemble.segment(read_ct(scan)).labels.array, expected)
    fast = our_labels(trained, scan, replace(EXACT, mode="fast"))
    assert (fast == expected).mean() > 0.5


def test_half_precision_runs_both_stages(trained: Path, tmp_path: Path) -> None:
    scan = ct_scan(tmp_path / "ct.nii.gz")
    exact = our_labels(trained, scan)
    try:
        half = our_labels(trained, scan, replace(EXACT, mode="half", backend=None))
    except DeviceError as error:
        pytest.skip(f"no half precision here: {error}")
    assert 0.8 < (half == exact).mean() < 1  # weights are random, and every second voxel is contested


def test_the_service_and_combine_take_a_cascade(trained: Path, tmp_path: Path) -> None:
    scan, bundle = ct_scan(tmp_path / "ct.nii.gz"), trained.with_name("bundle")
    with Segmenter.open(bundle, EXACT) as segmenter:
        expected = segmenter.segment(read_ct(scan)).labels.array
        with started(upload_steps(segmenter, RunOptions()), Limits(), tmp_path) as service, live(service) as client:
            answer = client.post(JOBS, params={"wait": "true"}, content=scan.read_bytes())
    (tmp_path / "answer.nii.gz").write_bytes(answer.content)
    assert np.array_equal(read_labels(tmp_path / "answer.nii.gz").array, expected)
    out = tmp_path / "combined.nii.gz"
    assert main(["combine", str(scan), "-o", str(out), "--models", str(bundle), "--device", "cpu"]) == 0
    assert np.array_equal(read_labels(out).array, expected)


def test_the_worker_of_a_pacs_takes_a_cascade(trained: Path, tmp_path: Path) -> None:
    """A series sent as a scanner does it; nobody listens for the results, which stay in the queue."""
    pytest.importorskip("pynetdicom")
    pydicom = pytest.importorskip("pydicom")
    program("storescu", "dcmtk")
    study, bundle = write_study(tmp_path / "ct"), trained.with_name("bundle")
    exact = ("--device", "cpu", "--mode", "exact", "--threads", "1")
    words = ("--send-to", f"PACS@127.0.0.1:{free_port()}", "--quiet", "0", "--results", "seg")
    running = WorkerProcess(tmp_path / "queue", bundle, words, network=(*exact, "--min-free", "1MB"))
    running.start()
    try:
        assert send(running.port, study).returncode == 0
        until(lambda: "segmented in" in running.log.read_text(), "the result")
    finally:
        running.kill()
    (result,) = running.queue.rglob("seg.dcm")
    alone = tmp_path / "alone.dcm"
    assert main(["segment", str(study), "-o", str(alone), "--model", str(bundle), *exact]) == 0
    expected = pydicom.dcmread(alone).pixel_array
    assert len(pydicom.dcmread(alone).SegmentSequence) == 4
    assert expected.any()
    assert np.array_equal(pydicom.dcmread(result).pixel_array, expected)
