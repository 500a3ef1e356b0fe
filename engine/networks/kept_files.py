"""What is made from a network once and kept in the user's cache folder: TensorRT's engines, OpenVINO's compiled networks.

A file is one line of JSON (what it was made from and for, and the checksum of the rest) and then the content. It appears whole or
not at all, so that several processes may share the folder. A damaged or outdated one triggers a warning and is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from flare_trt.engine.base.files import atomic_file

_LOG = logging.getLogger(__name__)


def cache_folder(kind: str) -> Path:
    """flare-trt/`kind` in $XDG_CACHE_HOME, or else in the home folder's .cache. Raises RuntimeError where there is no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flare-trt" / kind


def read_kept(file: Path, key: dict[str, Any]) -> bytes | None:
    """The content kept for this key, or None where it has to be made. Warns where a file is there but cannot be used."""
    if not file.is_file():
        return None
    head, _, content = file.read_bytes().partition(b"\n")
    reason = _reason_to_make(head, content, key)
    if reason is None:
        return content
    _LOG.warning("%s is built again: %s", file, reason)
    return None


def write_kept(file: Path, key: dict[str, Any], content: bytes) -> Path:
    """Keep a content under its key. Raises OSError or OutputError where the folder cannot be written."""
    head = json.dumps({"key": key, "sha256": hashlib.sha256(content).hexdigest()}, sort_keys=True)
    return write_file(file, head.encode() + b"\n" + content)


def write_file(file: Path, content: bytes) -> Path:
    """Write a file of the cache, whole or not at all; a folder that is made is the user's alone. Raises OSError or OutputError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_file(file) as target:
        target.write(content)
    return file


def _reason_to_make(head: bytes, content: bytes, key: dict[str, Any]) -> str | None:
    try:
        entry = json.loads(head)
        made_for, checksum = entry["key"], entry["sha256"]
    except (ValueError, KeyError, TypeError):
        return "its first line is damaged"
    if made_for != key:
        return f"it was built for {made_for}, expected {key}"
    if hashlib.sha256(content).hexdigest() != checksum:
        return "its checksum does not match"
    return None
