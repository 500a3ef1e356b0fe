"""Scans in and labels out as .nrrd and .mha files, the formats beside NIfTI that nnU-Net's SimpleITK reader takes.

Grid and voxel type are SimpleITK's (extra `formats`); the voxels are read in slabs, as NiftiReader does, since ITK would hold a
packed scan whole and does not notice where its stream is damaged. Sources: teem.sourceforge.net/nrrd/format.html and
itk.org/Wiki/MetaIO.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.extras import install_command
from flare_trt.engine.base.files import atomic_path, has_ending
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.regular_file import require_regular
from flare_trt.engine.base.units import MIB
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.voxel_stream import Packing, VoxelBlock, input_errors, narrowed, read_up_to

#: Ending -> ITK's class for it, which is named so that the ending decides and not the content.
_ITK_CLASS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}
ENDINGS = tuple(_ITK_CLASS)
#: SimpleITK's name of a pixel type -> NumPy type of a voxel.
_STORED = {
    **{f"sitkUInt{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"sitkInt{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    "sitkFloat32": "f4",
    "sitkFloat64": "f8",
}
_HEADER_LIMIT_BYTES = MIB
_NRRD_PACKING: dict[str, Packing] = {"raw": "", "gzip": "gzip", "gz": "gzip"}
#: Fields that put the voxels elsewhere than right behind the header -> the values that do not.
_NRRD_ELSEWHERE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("data file", "datafile"), ()),
    **dict.fromkeys(("line skip", "lineskip", "byte skip", "byteskip"), ("0",)),
}
_MHA_ELSEWHERE = {"ElementDataFile": ("LOCAL", "Local", "local"), "HeaderSize": ("0",), "BinaryData": ("True", "true")}


class ItkReader:
    """A .nrrd or .mha file whose header has been checked; `slabs` reads its voxels. Holds no open file and no voxel.

    Raises InputError, naming the file, for anything but one whole 3-D scan of real numbers in this one file, raw or deflated.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        require_regular(self.path)
        with input_errors(self.path):
            layout = (_nrrd_layout if has_ending(self.path, (".nrrd",)) else _mha_layout)(self.path)
            self.warnings = layout.warnings
            self.grid, stored = _itk_header(self.path)
            stored = stored.newbyteorder(">" if layout.is_big_endian else "<")
            self._voxels = VoxelBlock(self.path, self.grid.shape_zyx, stored, layout.packing, layout.voxels_at, 0)
            self._voxels.require_room()

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 for whole numbers, float32 otherwise: the type of the slabs."""
        return np.dtype(np.int16 if self._voxels.stored.kind in "iu" else np.float32)

    @property
    def widest(self) -> np.dtype[Any]:
        """int16 where no slab can leave it, by the header; else float32."""
        return np.dtype(np.int16 if np.can_cast(self._voxels.stored, np.int16) else np.float32)

    def slabs(self, depth: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """As NiftiReader.slabs, but NaN and infinity, which ITK leaves in these formats as they are, raise InputError."""
        for start, raw in self._voxels.slabs(depth):
            with input_errors(self.path):
                yield start, narrowed(raw, self.dtype == np.int16)


def write_itk_labels(target: Path, labels: Volume) -> None:
    """Write uint8 or uint16 labels, packed as nnU-Net does, whole or not at all. Raises OutputError."""
    try:
        sitk = _simpleitk()
    except InputError as error:
        raise OutputError(f"{target}: {error}") from error
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.array))
    image.SetSpacing(labels.grid.spacing_mm[::-1])
    image.SetOrigin(labels.grid.origin_mm)
    image.SetDirection([value for row in labels.grid.direction for value in row])
    with atomic_path(target) as path:
        writer = sitk.ImageFileWriter()
        writer.SetImageIO(_class_of(target))
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        try:
            writer.Execute(image)
        except RuntimeError as error:
            raise OutputError(f"{target}: cannot be written: {_reason(error)}; free space or choose another place") from error


@dataclass(frozen=True)
class _Layout:
    """Where the stream of voxels starts in the file, and how it is stored."""

    voxels_at: int
    packing: Packing
    is_big_endian: bool
    warnings: tuple[str, ...] = ()


def _nrrd_layout(path: Path) -> _Layout:
    head = _head(path)
    end = re.search(rb"\r?\n\r?\n", head)
    if not head.startswith(b"NRRD000") or end is None:
        raise InputError(f"got no NRRD file, expected the magic NRRD000 and a header in its first {_HEADER_LIMIT_BYTES} bytes")
    lines = head[: end.start()].decode("latin-1").splitlines()[1:]
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
    fields = {name.strip().lower(): value.strip() for name, value in pairs if not value.startswith("=")}
    _require_behind(fields, _NRRD_ELSEWHERE)
    encoding = fields.get("encoding", "").lower()
    if encoding not in _NRRD_PACKING:
        raise InputError(f"header: got the encoding {encoding!r}, expected raw or gzip; save the scan again, e.g. with SimpleITK")
    return _Layout(end.end(), _NRRD_PACKING[encoding], fields.get("endian", "little").lower() == "big")


def _mha_layout(path: Path) -> _Layout:
    head = _head(path)
    end = re.search(rb"^ElementDataFile[ \t]*=[^\n]*\n?", head, re.MULTILINE)
    if end is None or b"=" not in head[:64]:
        raise InputError(f"got no MetaImage file, expected a header with ElementDataFile in its first {_HEADER_LIMIT_BYTES} bytes")
    pairs = (line.split("=", 1) for line in head[: end.end()].decode("latin-1").splitlines() if "=" in line)
    fields = {name.strip(): value.strip() for name, value in pairs}
    _require_behind({"BinaryData": "False", **fields}, _MHA_ELSEWHERE)
    order = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    packing: Packing = ""
    if fields.get("CompressedData", "False").lower() == "true":
        packing = "gzip" if head[end.end() : end.end() + 2] == b"\x1f\x8b" else "zlib"
    return _Layout(end.end(), packing, order.lower() == "true", _scale_warnings(fields))


def _scale_warnings(fields: dict[str, str]) -> tuple[str, ...]:
    slope, offset = (fields.get(f"ElementToIntensityFunction{part}", plain) for part, plain in (("Slope", "1"), ("Offset", "0")))
    if (slope, offset) == ("1", "0"):
        return ()
    return (
        f"the header holds an intensity function of slope {slope} and offset {offset}: it is left out, as ITK does; check that the "
        "values are HU",
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return read_up_to(file, _HEADER_LIMIT_BYTES)


def _require_behind(fields: dict[str, str], elsewhere: dict[str, tuple[str, ...]]) -> None:
    """Raises InputError where the voxels do not lie, in binary, right behind the header: no other file is ever opened."""
    for name, plain in elsewhere.items():
        if name in fields and fields[name] not in plain:
            raise InputError(
                f"header: got {name} {fields[name]!r}, expected the voxels in binary right behind the header; save the scan again "
                "as one file, e.g. with SimpleITK"
            )


def _itk_header(path: Path) -> tuple[Grid, np.dtype[Any]]:
    """Grid and voxel type as SimpleITK gives them."""
    sitk = _simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_class_of(path))
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"SimpleITK cannot read the header: {_reason(error)}") from error
    size, parts = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) != 3 or parts != 1:
        raise InputError(
            f"got {len(size)} dimensions of sizes {list(size)} (x, y, z) with {parts} values a voxel, expected one 3-D scan"
        )
    names = [name for name in _STORED if getattr(sitk, name) == reader.GetPixelIDValue()]
    if not names:
        raise InputError(f"got {sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())} voxels, expected real numbers (HU)")
    rows = [tuple(reader.GetDirection()[3 * axis : 3 * axis + 3]) for axis in range(3)]
    grid = Grid(size[::-1], tuple(reader.GetSpacing()[::-1]), tuple(reader.GetOrigin()), tuple(rows))  # type: ignore[arg-type]  # threes
    return grid, np.dtype(_STORED[names[0]])


def _class_of(path: Path) -> str:
    return next(name for ending, name in _ITK_CLASS.items() if has_ending(path, (ending,)))


def _reason(error: RuntimeError) -> str:
    """The last line of what ITK says, which is the reason."""
    return str(error).strip().rpartition("\n")[2].strip() or "no reason given"


def _simpleitk() -> Any:
    try:
        return import_module("SimpleITK")
    except ImportError as error:
        raise InputError(
            f"{' and '.join(ENDINGS)} files need SimpleITK, which is not installed; {install_command('SimpleITK')}"
        ) from error
