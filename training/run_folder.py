"""The folder of one training run, continued only where that is wanted."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.base.errors import InputError


def open_run_folder(folder: Path, resume: bool) -> None:
    """Make the folder. Raises InputError where a run stands there (last.pt) and `resume` is not set."""
    if (folder / "last.pt").exists() and not resume:
        raise InputError(f"{folder}: a run stands here; add --resume to continue it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
