"""Writes a series as a recipe of `dicom_meaning` says, with pydicom and the coders of the tests."""

from __future__ import annotations

import copy
import gzip
import io
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, get_frame
from tests.fuzz import dicom_meaning as ways
from tests.fuzz.dicom_meaning import Recipe

_CT, _ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
_REPORT, _CAPTURE = "1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.7"
_FRAME_TYPE = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]


def write(recipe: Recipe, folder: Path) -> Path:
    """The series, and what lies beside it, in a folder, or in a zip of it; returns what is to be segmented."""
    rng = random.Random(recipe.order)
    series = folder / "series"
    files = [_bytes(recipe, dataset, number, rng) for number, dataset in enumerate(_datasets(recipe, rng))]
    rng.shuffle(files)
    for number, data in enumerate(files):
        place = series / rng.choice(("a", "b/c")) if recipe.nested else series
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{rng.getrandbits(16):05d}{number}").write_bytes(data)
    _litter(recipe, series)
    if recipe.twist == "gzipped":
        path = next(path for path in sorted(series.rglob("*")) if path.is_file())
        path.write_bytes(gzip.compress(path.read_bytes()))
    return Path(shutil.make_archive(str(series), "zip", series)) if recipe.zipped else series


def _datasets(recipe: Recipe, rng: random.Random) -> list[Any]:
    hu = ways.turned(ways.base_hu(), recipe)
    classic = [_slice(recipe, plane, number) for number, plane in enumerate(hu)]
    if recipe.twist == "woven":
        classic = [one for number, one in enumerate(classic) for one in _two_phases(one, number)]
    if recipe.twist == "a slice missing":
        del classic[5]
    if recipe.container == "classic":
        return classic
    parts = 3 if recipe.container == "concatenation" else 1
    frames = list(range(len(classic)))
    rng.shuffle(frames)
    cut = np.array_split(frames, parts)
    files = [_enhanced(recipe, [classic[at] for at in part], number, parts) for number, part in enumerate(cut)]
    return files[:-1] if recipe.twist == "part missing" else files


def _two_phases(one: Any, number: int) -> tuple[Any, Any]:
    """A slice and one of another phase, half a slice on."""
    other = copy.deepcopy(one)
    step = np.array(one.step_mm)
    other.ImagePositionPatient = list(np.array(one.ImagePositionPatient, float) + step / 2)
    other.SOPInstanceUID = f"{one.SOPInstanceUID}.1" if one.SOPInstanceUID else ""
    other.PixelData = bytes(np.frombuffer(one.PixelData, "<u2")[::-1].tobytes())
    one.AcquisitionNumber, other.AcquisitionNumber = 1, 2
    other.step_mm = one.step_mm
    return one, other


def _plain(dataset: Any) -> bytes:
    stream = io.BytesIO()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ways.EXPLICIT
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID or "1.2.3.99"
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _uid(recipe: Recipe, what: str, number: int = 0) -> str:
    """Of a style; a blank one is what anonymisers leave."""
    seed = random.Random(f"{recipe.order}/{what}/{number}").getrandbits(64)
    if recipe.uids == "blank":
        return ""
    return f"{1 + seed % 2}.{seed % 39}.{seed}" if recipe.uids == "{}" else recipe.uids.format(seed)[:60]


def _slice(recipe: Recipe, hu: NDArray[Any], number: int) -> Any:
    """A classic image, its pixels uncompressed as little-endian cells of 16 bits."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = _CT, _uid(recipe, "image", number), "CT"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid(recipe, "study"), _uid(recipe, "series")
    dataset.FrameOfReferenceUID, dataset.ImageType = _uid(recipe, "frame"), ["ORIGINAL", "PRIMARY", "AXIAL"]
    characters = recipe.characters[number % len(recipe.characters)]
    dataset.SpecificCharacterSet = characters.split("\\") if characters else ""
    dataset.PatientID = "P2" if recipe.twist == "two patients" and number == 4 else "P1"
    if len(set(recipe.characters)) == 1:  # else names differ, as they may not in one series
        dataset.PatientName = ways.CHARACTERS[characters]
    directions, spacings = ways.directions(recipe), ways.spacings(recipe)
    place = np.array(recipe.origin_mm) + directions[0] * spacings[0] * number
    if recipe.twist == "tilted":
        place = place + directions[1] * 0.4 * number
    dataset.ImagePositionPatient = [f"{value:.{recipe.decimals}f}" for value in place]
    dataset.ImageOrientationPatient = [float(value) for value in (*directions[2], *directions[1])]
    dataset.PixelSpacing, dataset.SliceThickness = [spacings[1], spacings[2]], spacings[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, recipe.photometric
    dataset.Rows, dataset.Columns = hu.shape
    high = 15 if recipe.twist == "left-aligned" else recipe.bits - 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        16,
        recipe.bits,
        high,
        int(recipe.signed),
    )
    slope, intercept = (values[number % len(values)] for values in (recipe.slopes, recipe.intercepts))
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = slope, intercept, recipe.rescale_type
    stored = np.rint((hu.astype(float) - intercept) / slope).astype(np.int32)
    mask = (1 << recipe.bits) - 1
    dataset.PixelData = ((stored & mask) | (recipe.junk & ~mask & 0xFFFF)).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.step_mm = list(directions[0] * spacings[0])
    _number(recipe, dataset, number)
    return dataset


def _number(recipe: Recipe, dataset: Any, number: int) -> None:
    """Numbers and times that say nothing of the order."""
    dataset.SeriesNumber = 4
    if recipe.numbering == "none":
        return
    dataset.InstanceNumber = {"along": number + 1, "against": 99 - number, "same": 1}.get(recipe.numbering, number)
    if recipe.numbering == "rotations":
        dataset.AcquisitionNumber, dataset.AcquisitionTime = 1 + number // 4, f"1012{10 + number // 4}"
    if recipe.numbering == "times":
        dataset.AcquisitionDate, dataset.AcquisitionTime, dataset.ContentTime = (
            "20260102",
            f"1012{10 + number}.5",
            f"1013{40 - number}",
        )


def _enhanced(recipe: Recipe, slices: list[Any], part: int, parts: int) -> Any:
    """An enhanced CT of these frames, in their order; macros of `per_frame` stand with each frame, the others with all."""
    dataset = slices[0]
    macros = [_macros(one) for one in slices]
    transformed = {one["PixelValueTransformationSequence"].to_json() for one in macros}
    per_frame = {*recipe.per_frame, *(["PixelValueTransformationSequence"] if len(transformed) > 1 else [])}
    dataset.SOPClassUID, dataset.SOPInstanceUID = _ENHANCED, _uid(recipe, "enhanced", part)
    dataset.NumberOfFrames, dataset.ImageType = len(slices), _FRAME_TYPE
    if parts > 1:
        dataset.InConcatenationNumber, dataset.InConcatenationTotalNumber = part + 1, parts
        dataset.ConcatenationUID, dataset.ConcatenationFrameOffsetNumber = _uid(recipe, "whole") or "1.2", part
    dataset.PixelData = b"".join(one.PixelData for one in slices)
    shared, frames = pydicom.Dataset(), [pydicom.Dataset() for _ in slices]
    for name in ways.MACROS:
        for target, values in zip(frames, macros, strict=True) if name in per_frame else [(shared, macros[0])]:
            setattr(target, name, [values[name]])
    for frame, one in zip(frames, slices, strict=True):
        place = pydicom.Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [place]
        if "AcquisitionNumber" in one:  # of the frame, for a file holds many
            frame.FrameContentSequence = [pydicom.Dataset()]
            frame.FrameContentSequence[0].FrameAcquisitionNumber = one.AcquisitionNumber
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], frames
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, name)
    for name in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        delattr(dataset, name)
    for name in ("AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "ContentTime"):
        dataset.pop(name, None)
    return dataset


def _macros(one: Any) -> dict[str, Any]:
    plane, pixels, values, kind = (pydicom.Dataset() for _ in range(4))
    plane.ImageOrientationPatient = one.ImageOrientationPatient
    pixels.PixelSpacing, pixels.SliceThickness = one.PixelSpacing, one.SliceThickness
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = one.RescaleSlope, one.RescaleIntercept, one.RescaleType
    kind.FrameType = _FRAME_TYPE
    return dict(zip(ways.MACROS, (plane, pixels, values, kind), strict=True))


def _bytes(recipe: Recipe, dataset: Any, number: int, rng: random.Random) -> bytes:
    """A file in its transfer syntax, with as much of a head as the recipe leaves it."""
    syntax = recipe.syntaxes[number % len(recipe.syntaxes)]
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID or f"1.2.3.{number}"
    if syntax == ways.BIG:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    elif syntax in ways.CODED:
        dataset.PixelData = encapsulate([_coded(recipe, dataset, syntax)])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    stream = io.BytesIO()
    with pydicom.config.disable_value_validation():
        dataset.save_as(stream, enforce_file_format=True)
    data = stream.getvalue()
    if recipe.head == "bare":
        return data[144 + int.from_bytes(data[140:144], "little") :]
    return data[132:] if recipe.head == "no preamble" else data


def _coded(recipe: Recipe, dataset: Any, syntax: str) -> bytes:
    """The codestream of the cells; of samples as wide as the stored bits where nothing stands in the others."""
    import imagecodecs

    cells = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    bits = 16 if recipe.junk and recipe.bits < 16 else recipe.sample_bits
    if syntax == ways.JPEG_2000:
        return bytes(imagecodecs.jpeg2k_encode(cells, level=0, codecformat="j2k", bitspersample=bits))
    if syntax in (ways.JPEG_LOSSLESS, ways.JPEG_LOSSLESS_SV1):
        return bytes(imagecodecs.ljpeg_encode(cells, bitspersample=bits))
    image = pydicom.Dataset()
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ways.EXPLICIT
    image.SOPClassUID, image.Rows, image.Columns = _CT, *cells.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, bits, bits - 1, 0
    image.PixelData = cells.tobytes()
    image["PixelData"].VR = "OW"
    image.compress(syntax, generate_instance_uid=False)
    return get_frame(image.PixelData, 0, number_of_frames=1)


def _litter(recipe: Recipe, series: Path) -> None:
    """What may lie beside the slices without changing them."""
    images = [path for path in sorted(series.rglob("*")) if path.is_file()]
    if "readme" in recipe.beside:
        (series / "README.TXT").write_text("of the disc")
    if "hidden" in recipe.beside:
        (series / ".hidden").write_bytes(bytes(200))
    if "copy" in recipe.beside:
        (series / "zcopy").write_bytes(images[0].read_bytes())
    for name, sop_class, modality in (("report", _REPORT, "SR"), ("capture", _CAPTURE, "CT"), ("localizer", _CT, "CT")):
        if name in recipe.beside:
            (series / f"z{name}").write_bytes(_plain(_other(recipe, name, sop_class, modality)))


def _other(recipe: Recipe, name: str, sop_class: str, modality: str) -> Any:
    """An object of the same series that is no slice."""
    other = pydicom.Dataset() if name == "report" else _slice(replace(recipe, twist=""), np.zeros((9, 7), np.int16), 0)
    other.SOPClassUID, other.Modality, other.SOPInstanceUID = sop_class, modality, _uid(recipe, name)
    other.StudyInstanceUID, other.SeriesInstanceUID, other.SeriesNumber = _uid(recipe, "study"), _uid(recipe, "series"), 4
    if name == "localizer":
        other.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return other
