"""Ensembles: the mean of what each bundle gives alone, what cannot be averaged, and nnU-Net's own ensemble on the same scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.passes.test_class_rows import read_all
from tests.engine.test_format_parity import write_scan
from tests.golden.variants import golden_folder

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.ensemble import Ensemble
from flare_trt.engine.model.afterwards_spec import ComponentRule, LesionGates
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.segmenter import Segmenter

OPTIONS = RunOptions(device="cpu", backend="fake", probabilities=True)
REGIONS = {"activation": "regions", "channel_values": (4, 3, 2, 1, 1)}


def three(folder: Path, **changes: object) -> list[Path]:
    """Bundles of other spacing, orientation and axes: the same classes."""
    spec = fake_spec()
    fine = replace(spec.fine, **changes)  # type: ignore[arg-type]
    stages = (
        fine,
        replace(fine, spacing_mm=(3.1, 2.2, 2.3), tile_step=0.8),
        replace(fine, orientation="as-stored", transpose_forward=(2, 0, 1)),
    )
    return [fake_bundle(folder / f"b{i}", replace(spec, name=f"b{i}", fine=stage)) for i, stage in enumerate(stages)]


@pytest.mark.parametrize("changes", [{}, REGIONS])
def test_labels_are_those_of_the_mean(changes: dict[str, object], tmp_path: Path, ct: Volume) -> None:
    bundles, alone = three(tmp_path, **changes), []
    for path in bundles:
        with Segmenter.open(path, OPTIONS) as segmenter:
            alone.append(read_all(segmenter.segment(ct).probabilities))
    with Ensemble(bundles, OPTIONS) as ensemble:
        found = ensemble.segment(ct)
    mean = ((alone[0] + alone[1] + alone[2]) / np.float32(3)).astype(np.float32)
    np.testing.assert_array_equal(read_all(found.probabilities), mean)
    expected = mean.argmax(0).astype(np.uint8)
    if changes:
        expected[...] = 0
        for value, probability in zip((4, 3, 2, 1, 1), mean, strict=True):
            expected[probability > 0.5] = value
    np.testing.assert_array_equal(found.labels.array, expected)
    assert (alone[0].argmax(0) != alone[1].argmax(0)).any()
    assert (found.report.model, ensemble.spec.name) == ("b0 + b1 + b2",) * 2
    assert Ensemble(bundles, replace(OPTIONS, probabilities=False)).segment(ct).probabilities is None


def test_tiles_add_up_and_rules_of_a_bundle_are_left_out(tmp_path: Path, ct: Volume) -> None:
    bundles = three(tmp_path)
    spec = replace(fake_spec(), name="ruled", postprocessing=(ComponentRule((1,), keep_largest=True),))
    bundles.append(fake_bundle(tmp_path / "ruled", spec))
    counts = []
    for path in bundles:
        with Segmenter.open(path, OPTIONS) as segmenter:
            counts.append(segmenter.segment(ct).report.tiles["fine"])
    report = Ensemble(bundles, OPTIONS).segment(ct).report
    assert report.tiles == {"fine": sum(counts)}
    assert "ruled: its rules for pieces are left out of the ensemble, which needs its own" in report.warnings


def test_a_label_s_second_channel_is_that_label_where_no_gate_follows(tmp_path: Path, ct: Volume) -> None:
    spec = fake_spec()
    fine = replace(spec.fine, channel_values=(0, 1, 2, 3, 3), strong_label=3)
    bundle = fake_bundle(tmp_path / "gated", replace(spec, fine=fine, lesion_gates=LesionGates(3)))
    with Ensemble([bundle, bundle], OPTIONS) as ensemble:
        found = ensemble.segment(ct)
    assert ensemble.spec.lesion_gates is None
    channels = read_all(found.probabilities).argmax(0)
    assert np.any(channels == 4)
    np.testing.assert_array_equal(found.labels.array, np.minimum(channels, 3))


@pytest.mark.parametrize("changes", [REGIONS, {"channel_values": (0, 1, 2, 4, 3)}])
def test_other_classes_are_refused(changes: dict[str, object], tmp_path: Path) -> None:
    spec: ModelSpec = fake_spec()
    first = fake_bundle(tmp_path / "first", spec)
    other = fake_bundle(tmp_path / "other", replace(spec, fine=replace(spec.fine, **changes)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"got the channels .*, expected the first bundle's: of CT, argmax: background 0,"):
        Ensemble([first, other], OPTIONS)


def test_the_command_takes_one_kind_of_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["segment", "ct.nii.gz", "-o", str(tmp_path), "--model", "a", "--ensemble", "a", "b"])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.peer
def test_labels_equal_nnunets_ensemble(tmp_path: Path) -> None:
    """Two configurations of the same labels, with other spacing and patch, on a scan that is stored in an unusual way."""
    pytest.importorskip("nnunetv2")
    from nnunetv2.ensembling.ensemble import average_probabilities
    from tests.golden.nnunet_peer import probabilities_with_nnunet

    scan, words, files = write_scan(tmp_path / "scan.mha", "RAI"), [], []
    for name in ("plain", "inherited"):
        model, bundle = golden_folder(name, tmp_path), tmp_path / f"bundle_{name}"
        assert main(["export", "nnunet", str(model), "-o", str(bundle), "--folds", "0", "--check", "quick"]) == 0
        words.append(str(bundle))
        files.append(str(tmp_path / f"{name}.npz"))
        np.savez(files[-1], probabilities=probabilities_with_nnunet(model, scan))
    out, npz = tmp_path / "labels.mha", tmp_path / "case.npz"
    words = ["segment", str(scan), "-o", str(out), "--ensemble", *words, "--device", "cpu", "--probabilities", str(npz)]
    assert main([*words, "--max-memory", "900MB"]) == 0
    mean = average_probabilities(files)
    theirs, ours = mean.argmax(0), read_labels(out).array
    assert (ours != theirs).mean() <= 1e-4
    assert (np.load(files[0])["probabilities"].argmax(0) != theirs).mean() > 0.01, "one model alone gives the same"
    with np.load(npz) as file:
        assert (np.abs(file["probabilities"] - mean) > 1e-3).mean() <= 1e-5
