"""Writing a model bundle: built and checked under a temporary name beside the destination, then renamed."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from flare_trt.engine.base.errors import BundleError, OutputError
from flare_trt.engine.model import strict_json
from flare_trt.engine.model.bundle import SPEC_FILE, named_networks, open_bundle, require_plain_names, sha256_of
from flare_trt.engine.model.spec import ModelSpec, NetworkFile, StageSpec

NO_TEXTS: Mapping[str, str] = MappingProxyType({})
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same bundle gives the same bytes


def write_bundle(
    spec: ModelSpec, network_files: Mapping[str, Path], destination: Path, texts: Mapping[str, str] = NO_TEXTS
) -> ModelSpec:
    """Write a folder, or a zip where `destination` ends in .zip, and return the spec with the checksums filled in.

    `network_files` maps each file name in `spec` to the ONNX file to copy; checksums in `spec` are ignored. `texts` are files
    for people that lie beside them, name to content. An existing bundle is replaced as a whole; anything else at
    `destination`, a bundle with further files in it too, is left alone and refused with OutputError. Raises BundleError where
    the result would not open.
    """
    require_replaceable(destination, texts)
    require_plain_names(spec)
    wanted = {network.file for _, network in named_networks(spec)}
    if wanted != set(network_files):
        raise BundleError(f"{SPEC_FILE}: got network files {sorted(network_files)}, expected {sorted(wanted)}")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as temporary:
            folder = Path(temporary) / "bundle"
            folder.mkdir()
            for name, source in network_files.items():
                shutil.copyfile(source, folder / name)
            hashed = _with_checksums(spec, folder)
            for name, text in {SPEC_FILE: strict_json.dump(hashed), **texts}.items():
                (folder / name).write_text(text, encoding="utf-8")
            open_bundle(folder).close()
            _move(_zipped(folder) if _is_zip(destination) else folder, destination)
    except OSError as error:
        raise OutputError(f"bundle: {destination} cannot be written: {error}") from error
    return hashed


def require_replaceable(destination: Path, texts: Iterable[str] = ()) -> None:
    """Check that nothing but a bundle, and texts that are written again, would be lost at `destination`. Raises OutputError."""
    if destination.is_symlink():
        raise OutputError(f"bundle: {destination} is a symbolic link, expected a path to write to; name the place itself")
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return
    if destination.is_dir() == _is_zip(destination):
        wanted = "a file, because the name ends in .zip" if _is_zip(destination) else "a folder (or a name in .zip)"
        raise OutputError(f"bundle: {destination} exists and is not {wanted}; choose another name")
    try:
        with open_bundle(destination) as old:
            known = {SPEC_FILE, *texts, *(network.file for _, network in named_networks(old.spec))}
    except BundleError as error:
        raise OutputError(f"bundle: {destination} exists and is no sound bundle ({error}); choose another name") from error
    extra = sorted({entry.name for entry in destination.iterdir()} - known) if destination.is_dir() else []
    if extra:
        raise OutputError(f"bundle: {destination} also holds {', '.join(extra)}, which would be lost; move them away first")


def _is_zip(destination: Path) -> bool:
    return destination.suffix.lower() == ".zip"


def _with_checksums(spec: ModelSpec, folder: Path) -> ModelSpec:
    def hashed(networks: tuple[NetworkFile, ...]) -> tuple[NetworkFile, ...]:
        return tuple(replace(network, sha256=sha256_of(folder / network.file)) for network in networks)

    def hashed_stage(stage: StageSpec, _: str) -> StageSpec:
        fast = stage.fast if stage.fast.networks is None else replace(stage.fast, networks=hashed(stage.fast.networks))
        return replace(stage, networks=hashed(stage.networks), fast=fast)

    return spec.with_stages(hashed_stage)


def _zipped(folder: Path) -> Path:
    """A zip beside `folder` with its files at the top. Stored, not compressed: weights hardly shrink and open faster so."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir(), key=lambda entry: (entry.name != SPEC_FILE, entry.name)):
            info = zipfile.ZipInfo(file.name, _ZIP_TIME)
            info.external_attr = 0o644 << 16
            info.file_size = file.stat().st_size
            with file.open("rb") as source, archive.open(info, "w") as entry:
                shutil.copyfileobj(source, entry)
    return target


def _move(written: Path, destination: Path) -> None:
    """Put a finished folder or file in the destination's place; a failure leaves the old one where it was."""
    if not destination.is_dir():
        written.replace(destination)
        return
    old = written.with_name("replaced")
    destination.rename(old)
    try:
        written.rename(destination)
    except OSError:
        old.rename(destination)
        raise
