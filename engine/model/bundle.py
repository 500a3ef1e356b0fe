"""Model bundles: a folder, or a zip of it, with bundle.json (a `ModelSpec`) and the ONNX files that it names.

Nothing in a bundle can run code: bundle.json is strict JSON, an ONNX file is a graph of standard operators with its weights
inside, and no other file of the folder is ever opened, so a README or a licence text may lie beside them.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from flare_trt.engine.base.errors import BundleError, reason_of
from flare_trt.engine.base.units import MIB
from flare_trt.engine.model import strict_json
from flare_trt.engine.model.onnx_file import require_embedded_weights
from flare_trt.engine.model.spec import ModelSpec, NetworkFile, StageSpec

SPEC_FILE = "bundle.json"
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\.onnx")
_SPEC_LIMIT_BYTES = MIB  # 255 labels take 20 kB
_FILE_LIMIT_BYTES = 1 << 31  # protobuf's own limit, so no ONNX file with embedded weights is larger


@dataclass(frozen=True)
class Bundle:
    """An open bundle. A context manager: `close` removes what a zip was unpacked to; a folder is left as it is."""

    spec: ModelSpec
    source: Path  # the folder or zip that was opened
    folder: Path  # where the network files lie while the bundle is open
    _unpacked: tempfile.TemporaryDirectory[str] | None = None

    def network_files(self, stage: StageSpec) -> tuple[Path, ...]:
        """The ONNX files of one of this bundle's stages, one a fold."""
        return tuple(self.folder / network.file for network in stage.networks)

    def close(self) -> None:
        """Remove the temporary folder of a zip. May be called twice."""
        if self._unpacked is not None:
            self._unpacked.cleanup()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_bundle(path: Path) -> Bundle:
    """Open and check a bundle: schema, file names, checksums, embedded weights. Raises BundleError that names the field."""
    _require_bundle(path)
    if path.is_dir():
        spec = _parse_spec(_read_spec(path))
        _require_sound(spec, path)
        return Bundle(spec, path, path)
    return _open_zip(path)


def read_spec(path: Path) -> ModelSpec:
    """What a bundle says; its networks are neither unpacked nor checked. Raises BundleError."""
    _require_bundle(path)
    if path.is_dir():
        return _parse_spec(_read_spec(path))
    with _zip_errors(path), zipfile.ZipFile(path) as archive:
        return _spec_in(archive, _spec_entry(archive))


def _require_bundle(path: Path) -> None:
    _refuse_other_models(path)
    if not path.exists():
        raise BundleError(f"bundle: {path} does not exist, expected a bundle's folder or a zip of it")
    if not path.is_dir() and not zipfile.is_zipfile(path):
        raise BundleError(f"bundle: {path} is no zip, expected a bundle's folder or a zip of it")


def _refuse_other_models(path: Path) -> None:
    """Raises BundleError for other kinds of models, and says how a bundle is made of each."""
    if path.is_dir() and not (path / SPEC_FILE).exists():
        inside = [path, *(entry for entry in path.iterdir() if entry.is_dir())]
        trained = next((folder for folder in inside if (folder / "plans.json").is_file()), None)
        if trained is not None:
            raise BundleError(
                f"bundle: {path} is an nnU-Net results folder, expected a bundle; make one with: "
                f"flare-trt export nnunet {trained} -o BUNDLE"
            )
    elif path.suffix.lower() == ".onnx":
        raise BundleError(f"bundle: {path} is a bare network, expected a bundle; make one with: flare-trt export onnx {path} ...")
    elif path.suffix.lower() in (".pth", ".pt"):
        raise BundleError(
            f"bundle: {path} is a checkpoint, expected a bundle; make one of the nnU-Net folder that holds its plans.json with: "
            "flare-trt export nnunet FOLDER -o BUNDLE"
        )
    elif path.name == SPEC_FILE:
        raise BundleError(f"bundle: got the file {path}, expected the bundle's folder; name {path.parent}")


def named_networks(spec: ModelSpec) -> Iterator[tuple[str, NetworkFile]]:
    """Every network file of a bundle with the name of its field in bundle.json."""
    for stage_name, stage in spec.stages.items():
        for field, networks in (("networks", stage.networks), ("fast.networks", stage.fast.networks or ())):
            for index, network in enumerate(networks):
                yield f"{SPEC_FILE}: {stage_name}.{field}[{index}]", network


def require_plain_names(spec: ModelSpec) -> None:
    """Check that every network file is a plain name in the bundle's own folder. Raises BundleError."""
    for where, network in named_networks(spec):
        if not _FILE_NAME.fullmatch(network.file):
            raise BundleError(f"{where}.file: got {network.file!r}, expected a plain file name (A-Z a-z 0-9 _ . + -) in .onnx")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse_spec(text: bytes) -> ModelSpec:
    try:
        spec = strict_json.parse(text.decode(), ModelSpec, SPEC_FILE)
    except UnicodeDecodeError as error:
        raise BundleError(f"{SPEC_FILE}: not UTF-8 text: {error}") from error
    require_plain_names(spec)
    return spec


def _read_spec(folder: Path) -> bytes:
    file = folder / SPEC_FILE
    _require_regular(file, f"bundle {folder}")
    if file.stat().st_size > _SPEC_LIMIT_BYTES:
        raise BundleError(f"{SPEC_FILE}: got {file.stat().st_size} bytes, expected at most {_SPEC_LIMIT_BYTES}")
    return file.read_bytes()


def _require_regular(file: Path, where: str) -> None:
    if file.is_symlink():
        raise BundleError(f"{where}: {file.name} is a symbolic link, expected a file in the bundle's folder; copy the file there")
    if not file.is_file():
        raise BundleError(f"{where}: the file {file.name} is missing; copy the bundle again")


def _require_sound(spec: ModelSpec, folder: Path) -> None:
    """Check each network file of an unpacked bundle: there, unchanged, self-contained."""
    for where, network in named_networks(spec):
        file = folder / network.file
        _require_regular(file, f"{where}.file")
        found = sha256_of(file)
        if found != network.sha256:
            raise BundleError(
                f"{where}.sha256: got {found}, expected {network.sha256}; the file is damaged or was changed, copy the bundle again"
            )
        require_embedded_weights(file, where)


def _open_zip(path: Path) -> Bundle:
    with ExitStack() as undo:
        unpacked = tempfile.TemporaryDirectory(prefix="flare-trt-")
        undo.callback(unpacked.cleanup)
        with _zip_errors(path), zipfile.ZipFile(path) as archive:
            spec = _unpack(archive, Path(unpacked.name))
        _require_sound(spec, Path(unpacked.name))
        undo.pop_all()
    return Bundle(spec, path, Path(unpacked.name), unpacked)


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:  # RuntimeError: an encrypted zip
        raise BundleError(f"bundle: {path} cannot be unpacked: {reason_of(error)}") from error


def _unpack(archive: zipfile.ZipFile, folder: Path) -> ModelSpec:
    """Write the named network files, and nothing else, into `folder` under their checked plain names."""
    spec_name = _spec_entry(archive)
    spec = _spec_in(archive, spec_name)
    prefix = spec_name.removesuffix(SPEC_FILE)
    for _, network in named_networks(spec):
        info = _entry(archive, prefix + network.file, _FILE_LIMIT_BYTES)
        with archive.open(info) as source, (folder / network.file).open("wb") as target:
            while chunk := source.read(MIB):
                target.write(chunk)
    return spec


def _spec_in(archive: zipfile.ZipFile, spec_name: str) -> ModelSpec:
    return _parse_spec(archive.read(_entry(archive, spec_name, _SPEC_LIMIT_BYTES)))


def _spec_entry(archive: zipfile.ZipFile) -> str:
    """Where bundle.json lies: at the top, or in the one folder that was zipped."""
    found = [name for name in archive.namelist() if re.fullmatch(rf"([^/\\]+/)?{re.escape(SPEC_FILE)}", name)]
    if len(found) != 1:
        raise BundleError(f"bundle: got a zip with {len(found)} files {SPEC_FILE}, expected one, at the top or in its one folder")
    return found[0]


def _entry(archive: zipfile.ZipFile, name: str, limit_bytes: int) -> zipfile.ZipInfo:
    """The one entry of that name. zipfile never yields more than `file_size` bytes of it."""
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise BundleError(f"bundle: got a zip with {len(found)} entries {name!r}, expected one; zip the bundle again")
    if stat.S_ISLNK(found[0].external_attr >> 16):
        raise BundleError(f"bundle: {name!r} is a symbolic link in the zip, expected a file; zip the bundle again")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"bundle: {name!r} is packed by method {found[0].compress_type}, expected stored or deflated")
    if found[0].file_size > limit_bytes:
        raise BundleError(f"bundle: {name!r} holds {found[0].file_size} bytes, expected at most {limit_bytes}")
    return found[0]
