"""Scans and labels as .nrrd and .mha files: voxels and grids as SimpleITK has them, and damage that it does not notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.scans.nifti_files import random_rotation

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_ct, read_labels, write_labels
from flare_trt.engine.scans.itk_files import ItkReader
from flare_trt.engine.scans.scan_reader import spooled_ct

sitk = pytest.importorskip("SimpleITK")
ENDINGS = (".nrrd", ".mha")
SHAPE = (7, 9, 11)


def saved(path: Path, array: np.ndarray, seed: int = 0, packed: bool = True) -> Path:
    """An oblique image, its header written by SimpleITK."""
    random = np.random.default_rng(seed)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.81, 2.5))
    image.SetOrigin((1 / 3, -211.123456789, 2 / 7))
    image.SetDirection(random_rotation(random).ravel().tolist())
    plain = path.with_name(f"written{path.suffix.lower()}")  # SimpleITK writes A.mhd and A.zraw for A.MHA
    sitk.WriteImage(image, str(plain), packed)
    return plain.rename(path)


def as_itk_reads(path: Path):
    """Named, since SimpleITK does not know .MHA in capitals."""
    return sitk.ReadImage(str(path), imageIO={".mha": "MetaImageIO", ".nrrd": "NrrdImageIO"}[path.suffix.lower()])


def voxels(dtype: str, seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).random(SHAPE) * 240).astype(dtype)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_voxels_and_grid_are_simpleitks(ending: str, dtype: str, packed: bool, tmp_path: Path) -> None:
    array = voxels(dtype)
    path = saved(tmp_path / f"CT{ending.upper()}", array, packed=packed)
    found, image = read_ct(path), as_itk_reads(path)
    np.testing.assert_array_equal(found.array, sitk.GetArrayFromImage(image).astype(found.array.dtype))
    assert found.array.dtype == (np.int16 if np.dtype(dtype).kind in "iu" else np.float32)
    direction = tuple(value for row in found.grid.direction for value in row)
    grid = found.grid.spacing_mm[::-1], found.grid.origin_mm, direction
    assert grid == (image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    np.testing.assert_array_equal(spooled_ct(ItkReader(path)).array[:, :, :], found.array)


def test_voxels_of_the_other_byte_order(tmp_path: Path) -> None:
    array = voxels("<i2") - 100
    for ending, little, big in ((".nrrd", b"endian: little", b"endian: big"), (".mha", b"MSB = False", b"MSB = True")):
        content = saved(tmp_path / f"ct{ending}", array, packed=False).read_bytes()
        header = content[: -array.nbytes].replace(little, big)
        (tmp_path / f"ct{ending}").write_bytes(header + array.astype(">i2").tobytes())
        np.testing.assert_array_equal(sitk.GetArrayFromImage(as_itk_reads(tmp_path / f"ct{ending}")), array)
        np.testing.assert_array_equal(read_ct(tmp_path / f"ct{ending}").array, array)


@pytest.mark.parametrize("ending", ENDINGS)
def test_labels_come_back_and_lie_where_they_lay(ending: str, tmp_path: Path) -> None:
    ct = read_ct(saved(tmp_path / f"ct{ending}", voxels("i2"), seed=5))
    labels = Volume((ct.array % 5).astype(np.uint8), ct.grid)
    out = tmp_path / f"OUT{ending.upper()}"
    write_labels(out, labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"ct{ending}"]
    image, source = as_itk_reads(out), as_itk_reads(tmp_path / f"ct{ending}")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels.array)
    for of in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(image, of)(), getattr(source, of)(), rtol=0, atol=1e-12)
    back = read_labels(out)
    assert back.array.dtype == np.uint8
    assert back.grid.same_place(ct.grid, 1e-9)
    write_labels(tmp_path / "out.nii.gz", labels)
    assert read_labels(tmp_path / "out.nii.gz").grid.same_place(ct.grid)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_found_also_where_itk_reads_on(ending: str, packed: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / f"ct{ending}", voxels("i2"), packed=packed)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    with pytest.raises(InputError, match=r"the file (ends early|holds at most)|the header claims"):
        read_ct(path)
    if packed:
        path.write_bytes(whole[:-300] + bytes(40) + whole[-260:])
        with pytest.raises(InputError, match=f"ct{ending}: .*(damaged|CRC|ends early|Incorrect)"):
            read_ct(path)


@pytest.mark.parametrize(
    ("ending", "change", "message"),
    [
        (".nrrd", (b"encoding: raw", b"encoding: hex"), r"got the encoding 'hex', expected raw or gzip"),
        (
            ".nrrd",
            (b"encoding: raw", b"encoding: raw\ndata file: /etc/passwd"),
            r"got data file '/etc/passwd', expected",
        ),
        (".nrrd", (b"encoding: raw", b"encoding: raw\nbyte skip: -1"), r"got byte skip '-1'"),
        (".nrrd", (b"NRRD", b"NARD"), "got no NRRD file"),
        (".mha", (b"= LOCAL", b"= ct.raw"), r"got ElementDataFile 'ct.raw', expected the voxels"),
        (".mha", (b"BinaryData = True", b"BinaryData = False"), "got BinaryData 'False'"),
        (".mha", (b"ElementDataFile", b"Something"), "got no MetaImage file"),
        (".mha", (b"DimSize = 11 9 7", b"DimSize = 11 9 700"), "the header claims 11 x 9 x 700 voxels"),
        (".nrrd", (b"sizes: 11 9 7", b"sizes: 11 9 700"), "the header claims 11 x 9 x 700 voxels"),
    ],
)
def test_headers_that_are_refused(ending: str, change: tuple[bytes, bytes], message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"ct{ending}", voxels("i2"), packed=False)
    content = path.read_bytes()
    assert change[0] in content
    path.write_bytes(content.replace(*change, 1))
    with pytest.raises(InputError, match=rf"ct{ending}: .*{message}"):
        ItkReader(path)


def test_an_intensity_function_that_itk_leaves_out_is_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "ct.mha", voxels("i2"), packed=False)
    assert ItkReader(path).warnings == ()
    path.write_bytes(path.read_bytes().replace(b"ElementType", b"ElementToIntensityFunctionOffset = -1024\nElementType"))
    (warning,) = ItkReader(path).warnings
    assert "slope 1 and offset -1024: it is left out, as ITK does" in warning
    np.testing.assert_array_equal(read_ct(path).array, sitk.GetArrayFromImage(as_itk_reads(path)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_3d_scans_of_real_finite_numbers(ending: str, tmp_path: Path) -> None:
    flat, colour = tmp_path / f"flat{ending}", tmp_path / f"colour{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 11), np.int16)), str(flat))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((*SHAPE, 3), np.uint8), isVector=True), str(colour))
    for path in (flat, colour):
        with pytest.raises(InputError, match="expected one 3-D scan"):
            ItkReader(path)
    array = voxels("f4")
    array[6, 8, 10] = np.nan
    with pytest.raises(InputError, match="got NaN, infinite or unrepresentable voxels"):
        read_ct(saved(tmp_path / f"nan{ending}", array))
    (tmp_path / f"empty{ending}").touch()
    with pytest.raises(InputError, match=r"got no (NRRD|MetaImage) file"):
        ItkReader(tmp_path / f"empty{ending}")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        ItkReader(tmp_path / f"none{ending}")


def test_without_simpleitk_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "ct.mha", voxels("i2"))
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    command = r"pip install 'flare-trt\[formats\]'"
    with pytest.raises(InputError, match=command):
        ItkReader(path)
    with pytest.raises(OutputError, match=command):
        write_labels(tmp_path / "out.nrrd", Volume(np.zeros((2, 3, 4), np.uint8), Grid((2, 3, 4), (1, 1, 1))))
