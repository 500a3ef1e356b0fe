"""Compiled networks in the user's cache folder: opening one takes a fifth of compiling it, and the results are equal bit by bit.

The folder holds code for this processor, so it is read only where nobody but the user can write to it. It is bounded in size:
the files that were not used for longest go first. Where it cannot be used, networks are compiled as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from io import BytesIO
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.networks.kept_files import cache_folder, read_kept, write_kept

_LOG = logging.getLogger(__name__)

#: A network file above this is compiled each time: to write it out would take memory beside it, and compiling is little of its run.
LARGEST_NETWORK_BYTES = 32_000_000
#: What all files of the folder may take.
FOLDER_BYTES = 256_000_000


def blob_key(onnx: bytes, core: Any, version: str, precision: str) -> dict[str, Any]:
    """What a compiled network depends on: its file, OpenVINO, the processor, the precision, and how we change the network."""
    own = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return {
        "onnx_sha256": hashlib.sha256(onnx).hexdigest(),
        "openvino": version,
        "cpu": [core.get_property("CPU", "FULL_DEVICE_NAME"), _flags()],
        "precision": precision,
        "rewrites_sha256": hashlib.sha256(own).hexdigest(),
    }


def open_blob(key: dict[str, Any], core: Any, settings: dict[str, Any]) -> Any | None:
    """The compiled network of this key; None where it is not kept or cannot be opened."""
    file = _file(key)
    if file is None or not _is_private(file.parent):
        return None
    try:
        content = read_kept(file, key)
        if content is None:
            return None
        compiled = core.import_model(BytesIO(content), "CPU", settings)
        os.utime(file)  # now the one used last
    except (OSError, RuntimeError) as error:
        _LOG.warning("%s is not used: %s", file, error)
        return None
    return compiled


def keep_blob(key: dict[str, Any], compiled: Any) -> None:
    """Keep a compiled network for the next process, where that can be done."""
    file = _file(key)
    if file is None or (file.parent.exists() and not _is_private(file.parent)):
        return
    content = BytesIO()
    try:
        compiled.export_model(content)
        write_kept(file, key, content.getvalue())
        _make_room(file.parent)
    except (OSError, OutputError, RuntimeError) as error:
        _LOG.info("the compiled network %s is not kept: %s", file, error)


def _file(key: dict[str, Any]) -> Path | None:
    """One file a key, so that computers which share a home folder do not take turns; None where there is no home."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    try:
        return cache_folder("openvino") / f"{key['onnx_sha256'][:24]}-{key['precision']}-{digest[:12]}.blob"
    except RuntimeError:
        return None


def _is_private(folder: Path) -> bool:
    """Whether the folder is there and the user's own, and nobody else may write to it."""
    try:
        found = folder.stat()
    except OSError:
        return False
    if found.st_uid == os.geteuid() and not found.st_mode & 0o022:
        return True
    _LOG.warning("%s is not used: others may write to it; remove it, or chmod 700", folder)
    return False


def _make_room(folder: Path) -> None:
    """Remove the files that were not used for longest until the rest keeps within the bound."""
    found = []
    for path in folder.glob("*.blob"):
        try:
            found.append((path.stat().st_mtime, path.stat().st_size, path))
        except FileNotFoundError:
            continue  # another process was quicker
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= FOLDER_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= size


def _flags() -> str:
    """Checksum of what the processor can do, by the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "unknown")
    return hashlib.sha256(flags.encode()).hexdigest()[:16]
