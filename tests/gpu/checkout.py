"""Makes the checkout importable as it lies, without installing anything: a link and a line of metadata under build/.

The standard library alone, since this runs before it is known what the Python at hand has.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def prepare(root: Path = ROOT) -> Path:
    """Lay out build/gpu, put it first on this process' and its children's module path, and return it."""
    folder = root / "build" / "gpu"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "flare_trt"
    if not link.is_symlink():
        link.symlink_to(Path("..", ".."), target_is_directory=True)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info" / "METADATA"
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8")
    sys.path.insert(0, str(folder))
    paths = [str(folder), str(root), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return folder
