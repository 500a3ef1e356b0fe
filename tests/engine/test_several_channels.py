"""Scans of several channels against the real nnUNetPredictor, from arrays, files and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import read_spec
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Box
from tests.engine.test_nnunet_parity import EXACT, hold_to_promise
from tests.engine.test_other_intensities import SHAPE, SPACING_MM, exported
from tests.golden.made import Made, head_mask, organ_image, write_scan

pytest.importorskip("nnunetv2")
pytestmark = pytest.mark.peer

PET_CT = Made((("CT", "CTNormalization", False), ("PET", "ZScoreNormalization", False)), seed=1)
BRAIN = Made(
    (("T1", "ZScoreNormalization", True), ("T2", "NoNormalization", False), ("FLAIR", "ZScoreNormalization", True)),
    transpose=(2, 0, 1),
    reader="NibabelIOWithReorient",
    seed=2,
)


def pet_ct(folder: Path, orientation: str = "LPS") -> tuple[Path, ...]:
    """CT with a padded field of view, and PET that is 0 elsewhere: the box of both is larger than each one's."""
    ct = (40 + 120 * organ_image(SHAPE)).astype(np.int16)
    ct[:, :9] = 0
    pet = np.abs(organ_image(SHAPE, seed=1)).astype(np.float32)
    pet[:, :4] = pet[-3:] = 0
    return _written(folder, (ct, pet), orientation)


def brain(folder: Path, orientation: str = "LPS") -> tuple[Path, ...]:
    """Heads in zeros, with holes; the second channel fills a part of what is 0 in the others."""
    head = head_mask(SHAPE)
    channels = [np.where(head, np.maximum(300 + 90 * organ_image(SHAPE, seed), 1), 0).astype(np.int16) for seed in range(3)]
    channels[1][2:9, 3:20, 4:15] = 250
    return _written(folder, channels, orientation)


def _written(folder: Path, channels: object, orientation: str) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    return tuple(
        write_scan(folder / f"case_{number:04d}.nii.gz", channel, SPACING_MM, orientation)
        for number, channel in enumerate(channels)  # type: ignore[arg-type,var-annotated]
    )


@pytest.fixture(scope="module")
def pet_ct_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PET/CT model's folder, with its bundle beside it."""
    folder = tmp_path_factory.mktemp("pet_ct") / "model"
    return exported(PET_CT.write(folder))


def volume_of(files: tuple[Path, ...]) -> Volume:
    first, *others = (read_ct(file) for file in files)
    return Volume(first.array, first.grid, others=tuple(others))


@pytest.mark.parametrize(
    ("model", "make", "orientation", "mirror"),
    [(PET_CT, pet_ct, "RAS", False), (BRAIN, brain, "LPS", False), (BRAIN, brain, "PIR", True)],
)
def test_labels_equal_nnunets(
    model: Made, make: Callable[[Path, str], tuple[Path, ...]], orientation: str, mirror: bool, tmp_path: Path
) -> None:
    from tests.golden.nnunet_peer import predict_with_nnunet

    files = make(tmp_path / "images", orientation)
    folder = model.write(tmp_path / "model")
    theirs = predict_with_nnunet(folder, files, mirroring=mirror)
    with Segmenter.open(exported(folder), replace(EXACT, mirror=mirror)) as segmenter:
        volume = volume_of(files)
        hold_to_promise(segmenter.segment(volume).labels.array, theirs)
        assert (np.bincount(theirs.ravel()) > 500).sum() >= 3, "too few contested voxels to mean anything"
        if not mirror:
            array = np.stack([channel.array.astype(np.float32) for channel in volume.channels])
            hold_to_promise(segmenter.segment_array(array, volume.grid).labels.array, theirs)


@pytest.mark.parametrize("value", [0, 300.7])
def test_a_channel_of_one_value_is_taken_as_nnunet_does(value: float, tmp_path: Path) -> None:
    """A sequence that was not acquired: 0 stays 0, and of a fraction the rounding of NumPy's sums makes 0, 1 or -1."""
    from tests.golden.nnunet_peer import predict_with_nnunet

    files, model = brain(tmp_path / "images"), tmp_path / "model"
    for empty in files[1:]:
        write_scan(empty, np.full(SHAPE, value, np.float32), SPACING_MM)
    bundle = exported(replace(BRAIN, seed=5).write(model))
    words, out = ["--model", str(bundle), "--max-memory", "900MB"], tmp_path / "out.nii.gz"
    assert main(["segment", str(files[0]), "-o", str(out), *words]) == 0
    hold_to_promise(read_labels(out).array, predict_with_nnunet(model, files))


def test_files_by_number_and_by_name(pet_ct_bundle: Path, tmp_path: Path) -> None:
    """A folder, one file of a case, and named channels give the same labels; under a budget, from the disk, too."""
    ct, pet = pet_ct(tmp_path / "images")
    with Segmenter.open(pet_ct_bundle, EXACT) as segmenter:
        expected = segmenter.segment(volume_of((ct, pet))).labels.array
    model = ["--model", str(pet_ct_bundle)]
    named = ["--channel", f"pet={pet}", "--channel", f"CT={ct}"]
    for number, words in enumerate(([str(tmp_path / "images")], [str(pet)], named, [str(ct), "--max-memory", "900MB"])):
        out = tmp_path / f"out{number}"
        assert main(["segment", *words, "-o", str(out) + ("/" if number == 0 else ".nii.gz"), *model]) == 0
        file = out / "case.nii.gz" if number == 0 else tmp_path / f"out{number}.nii.gz"
        assert np.array_equal(read_labels(file).array, expected)


def test_what_is_wrong_is_told(pet_ct_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ct, pet = pet_ct(tmp_path / "images")
    model = ["-o", str(tmp_path / "out.nii.gz"), "--model", str(pet_ct_bundle)]

    def refused(*words: str) -> str:
        assert main(["segment", *words, *model]) == 1
        return capsys.readouterr().err

    assert "expected PET too; name a file for each" in refused("--channel", f"CT={ct}")
    assert "--channel MR=x: expected NAME=FILE with a NAME out of CT, PET" in refused("--channel", "MR=x")
    assert "--channel ct=x: named twice" in refused("--channel", f"CT={ct}", "--channel", "ct=x")
    assert "and not both" in refused(str(ct), "--channel", f"PET={pet}")
    assert "and not both" in refused()
    plain = write_scan(tmp_path / "plain.nii.gz", np.ones((5, 6, 7), np.int16), SPACING_MM)
    assert "got a name without a channel's number, expected one of each channel (CT, PET)" in refused(str(plain))
    moved = write_scan(tmp_path / "moved.nii.gz", np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7), SPACING_MM)
    words = refused("--channel", f"CT={ct}", "--channel", f"PET={moved}")
    assert f"its grid is not that of {ct.name} (shape (5, 6, 7) against {SHAPE})" in words
    assert "gone.nii.gz: there is no such file or folder" in refused("--channel", f"CT={ct}", "--channel", "PET=gone.nii.gz")
    pet.unlink()
    assert "case_0001.nii.gz: there is no such file, expected the channel PET of this case" in refused(str(ct))
    assert not (tmp_path / "out.nii.gz").exists()


def test_results_never_overwrite_a_channel(pet_ct_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ct, pet = pet_ct(tmp_path / "images")
    before = pet.read_bytes()
    assert main(["segment", str(ct), "-o", str(pet), "--model", str(pet_ct_bundle)]) == 1
    assert "would overwrite a scan" in capsys.readouterr().err
    assert pet.read_bytes() == before


def test_a_model_is_given_the_channels_that_it_takes(pet_ct_bundle: Path, tmp_path: Path) -> None:
    ct, _ = pet_ct(tmp_path / "images")
    assert read_spec(pet_ct_bundle).input_names == ("CT", "PET")
    with (
        Segmenter.open(pet_ct_bundle, EXACT) as segmenter,
        pytest.raises(InputError, match="got a scan of 1 channels, expected 2: CT, PET"),
    ):
        segmenter.segment(read_ct(ct))


def test_what_takes_scans_of_one_channel_refuses_a_model_of_two(
    pet_ct_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, words = str(pet_ct_bundle), "takes the channels CT, PET, expected one of a single channel"
    assert main(["serve", "--model", model, "--port", "0"]) == 1
    assert words in capsys.readouterr().err
    assert main(["combine", str(tmp_path), "-o", str(tmp_path / "out.nii.gz"), "--models", model]) == 1
    assert words in capsys.readouterr().err


def test_channels_of_two_grids_are_no_volume(tmp_path: Path) -> None:
    ct = read_ct(pet_ct(tmp_path / "images")[0])
    other = Volume(ct.array[1:], ct.grid.cropped(Box((1, 0, 0), ct.grid.shape_zyx)))
    with pytest.raises(InputError, match="volume: got a channel of"):
        Volume(ct.array, ct.grid, others=(other,))
