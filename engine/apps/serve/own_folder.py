"""The folder where a server keeps uploads and results: its own, gone when it ends, swept by the next one if it was killed."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX, _UNLOCKED, _LOCK = "flare-trt-serve-", "flare-trt-starting-", ".lock"
_LOG = logging.getLogger(__name__)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder that only this user can read, under the system's temporary folder; removed with all that is in it at the end.

    First those are removed that servers of this user left behind: kill -9 and a power cut leave no time to clean up. The lock that
    a living server holds on its folder tells them apart, and the system gives it back however the server ended.
    """
    _sweep(Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
    folder = made.with_name(_PREFIX + made.name.removeprefix(_UNLOCKED))
    with (made / _LOCK).open("xb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.rename(folder)  # under this name it is seen by others, and it is locked
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(temporary: Path) -> None:
    for folder in temporary.glob(f"{_PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
            continue
        try:
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            _LOG.warning("removed the uploads and results of a server that was killed")
        except FileNotFoundError:
            continue  # of a version without locks, or gone meanwhile
        except OSError as error:  # locked: its server lives
            _LOG.debug("kept a server's folder: %s", error.strerror)
