"""A server's folder goes with it; one that a killed server left behind goes when the next one starts, and no other."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flare_trt.engine.apps.serve.own_folder import own_folder

_WAITS = """
import time
from flare_trt.engine.apps.serve.own_folder import own_folder
with own_folder() as folder:
    (folder / "upload").write_text("a patient")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_this_user_s_alone_and_goes_at_the_end(temporary: Path) -> None:
    with own_folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "job").mkdir()
    assert list(temporary.iterdir()) == []


def test_a_killed_server_s_folder_is_swept_and_a_living_one_s_is_kept(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WAITS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        with own_folder():
            assert (other / "upload").read_text() == "a patient"
        process.send_signal(signal.SIGKILL)
    assert (other / "upload").exists()
    with own_folder() as folder:
        assert list(temporary.iterdir()) == [folder]


def test_what_is_not_a_server_s_is_left_alone(temporary: Path) -> None:
    (temporary / "flare-trt-serve-file").touch()
    (temporary / "flare-trt-serve-unlocked").mkdir()
    (temporary / "elsewhere").mkdir()
    (temporary / "flare-trt-serve-link").symlink_to(temporary / "elsewhere")
    before = sorted(temporary.iterdir())
    with own_folder():
        pass
    assert sorted(temporary.iterdir()) == before
