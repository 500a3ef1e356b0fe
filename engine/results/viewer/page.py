"""What the viewer's page asks its server for: a table of names, each a few bytes or a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.viewer.niivue import STATIC, require_niivue
from flare_trt.engine.results.viewer.scene import Scene, make_scene
from flare_trt.engine.scans.nifti import write_ct

_SCRIPT, _BINARY, _JSON = "text/javascript; charset=utf-8", "application/octet-stream", "application/json"
#: Files of a kept view beside the labels.
_SCENE, _SURFACES, _CT = "scene.json", "surfaces.bin", "ct.nii.gz"


@dataclass(frozen=True)
class ScanFile:
    """A file as it was when it was checked: where it lies, its size and its time of change."""

    path: Path
    size: int
    changed_ns: int

    @staticmethod
    def of(path: Path) -> ScanFile:
        """The file as it is now."""
        found = path.stat()
        return ScanFile(path, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Resource:
    """What one name of the table gives: its content type, and bytes or a file."""

    kind: str
    content: bytes | ScanFile


def page_resources(scene: Scene, ct: Path, labels: Path) -> dict[str, Resource]:
    """The table of names. Raises InputError where niivue is missing."""
    return static_resources() | {
        "scene.json": Resource(_JSON, json.dumps(scene.as_json()).encode()),
        "surfaces": Resource(_BINARY, scene.surfaces),
        "ct": Resource(_BINARY, ScanFile.of(ct)),
        "labels": Resource(_BINARY, ScanFile.of(labels)),
    }


def static_resources() -> dict[str, Resource]:
    """The names that are the same for every scan. Raises InputError where niivue is missing."""
    return {
        "": Resource("text/html; charset=utf-8", (STATIC / "viewer.html").read_bytes()),
        "viewer.css": Resource("text/css; charset=utf-8", (STATIC / "viewer.css").read_bytes()),
        "viewer.js": Resource(_SCRIPT, (STATIC / "viewer.js").read_bytes()),
        "niivue.js": Resource(_SCRIPT, require_niivue()),
        "surface.js": Resource(_SCRIPT, (STATIC / "surface.js").read_bytes()),
    }


def keep_view(ct: Volume, labels: Path, of_labels: Volume, model: ModelSpec) -> None:
    """Write what the page needs beside the file of the labels, for `kept_files`. Raises InputError without niivue, OutputError."""
    require_niivue()
    folder = labels.parent
    scene = make_scene(ct, of_labels, (_CT, labels.name), model)
    for name, content in ((_SCENE, json.dumps(scene.as_json()).encode()), (_SURFACES, scene.surfaces)):
        with atomic_file(folder / name) as file:
            file.write(content)
    write_ct(folder / _CT, ct)


def kept_files(labels: Path) -> dict[str, tuple[str, Path]]:
    """Content type and file of the names that stand for one scan, as `keep_view` has written them."""
    folder = labels.parent
    return {
        "scene.json": (_JSON, folder / _SCENE),
        "surfaces": (_BINARY, folder / _SURFACES),
        "ct": (_BINARY, folder / _CT),
        "labels": (_BINARY, labels),
    }
