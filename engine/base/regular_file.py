"""A path from outside is looked at before it is opened: to open a pipe, or to read a device, may wait for ever."""

from __future__ import annotations

import stat
from pathlib import Path

from flare_trt.engine.base.errors import InputError, reason_of

_OTHERS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_regular(path: Path) -> None:
    """Raises InputError, naming the path, for a pipe, a socket or a device, links to one too, and for what cannot be looked at."""
    try:
        other = _OTHERS.get(stat.S_IFMT(path.stat().st_mode))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason_of(error)}") from error
    if other is not None:
        raise InputError(f"{path}: got {other}, expected a file, which is read more than once; save it to a file and name that")
