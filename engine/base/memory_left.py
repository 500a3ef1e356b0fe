"""How much memory this process can still get: of the machine, of its control group, and of its own limit (ulimit -v)."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

#: Share of what is left that a pass may plan with: the network's own buffers and the next scan come beside it.
_SHARE = 0.7


def obtainable_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that a pass may plan with, or None where nothing tells. The folders are those of Linux."""
    left = [*_machine(proc), *_control_group(proc, cgroup), *_own_limit(proc)]
    return int(max(0, min(left)) * _SHARE) if left else None


def _machine(proc: Path) -> Iterator[int]:
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _control_group(proc: Path, cgroup: Path) -> Iterator[int]:
    """The process' own group and those above it (version 2), each of which may set a limit."""
    name = next((line.removeprefix("0::").strip("/") for line in _lines(proc / "self" / "cgroup") if line.startswith("0::")), "")
    folder = cgroup / name
    for group in (folder, *folder.parents):
        limit, used = (next(iter(_lines(group / f"memory.{kind}")), "") for kind in ("max", "current"))
        if limit.isdecimal() and used.isdecimal():
            yield int(limit) - int(used) + _file_cache(group)
        if group == cgroup:
            break


def _file_cache(group: Path) -> int:
    """Pages of files that the kernel gives back before it kills anything."""
    return sum(int(line.split()[1]) for line in _lines(group / "memory.stat") if line.startswith("inactive_file "))


def _own_limit(proc: Path) -> Iterator[int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    sizes = next(iter(_lines(proc / "self" / "statm")), "")
    if limit != resource.RLIM_INFINITY and sizes:
        yield limit - int(sizes.split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
