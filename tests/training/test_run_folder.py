"""A run's folder is made once and continued only on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.training.run_folder import open_run_folder


def test_a_run_is_continued_only_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "fine"
    open_run_folder(folder, resume=False)
    assert folder.is_dir()
    (folder / "last.pt").write_bytes(b"weights")
    with pytest.raises(InputError, match=r"fine: a run stands here; add --resume to continue it, or name another folder"):
        open_run_folder(folder, resume=False)
    open_run_folder(folder, resume=True)
    assert (folder / "last.pt").read_bytes() == b"weights"
