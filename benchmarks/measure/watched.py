"""A command that is watched to its end, with everything that it starts."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from flare_trt.benchmarks.measure.host_memory import descendants

if TYPE_CHECKING:
    import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>


@dataclass(frozen=True)
class Ending:
    """How a command ended: its exit code (128 + n when signal n killed it, as shells say it), the CPU seconds that it and
    its descendants used, and how many of them it has left running."""

    exit_code: int
    cpu_s: float
    left_running: int


def join_family() -> None:
    """Make this process the parent of every descendant whose own parent ends, and end with its own parent (by a SIGTERM,
    which `Watched` hands on). Raises OSError."""
    for option, value in ((_PR_SET_CHILD_SUBREAPER, 1), (_PR_SET_PDEATHSIG, int(signal.SIGTERM))):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


class Watched:
    """A running command. An interrupt from the terminal reaches the command by itself; a SIGTERM is handed on to it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._orphans_cpu_s = 0.0
        signal.signal(signal.SIGINT, _wait_for_the_command)
        signal.signal(signal.SIGTERM, self._hand_on)

    def wait(self, seconds: float) -> Ending | None:
        """The command's ending, as soon as it ends; None when it still runs after `seconds`."""
        self._bury_orphans()
        if not select.select([self._pidfd], [], [], seconds)[0]:
            return None
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)  # else Popen would wait for it again
        os.close(self._pidfd)
        code = self._process.returncode
        left = descendants()
        self._bury_orphans()
        cpu_s = usage.ru_utime + usage.ru_stime + self._orphans_cpu_s + sum(_cpu_s(process) for process in left)
        return Ending(code if code >= 0 else 128 - code, cpu_s, len(left))

    def _bury_orphans(self) -> None:
        """Collect the ended orphans among this process' children, and their CPU time."""
        while (pid := _ended_child()) not in (None, self._process.pid):
            usage = os.wait4(pid, 0)[2]
            self._orphans_cpu_s += usage.ru_utime + usage.ru_stime

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        self._process.send_signal(number)


def _ended_child() -> int | None:
    """A child that has ended and was not waited for yet."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _cpu_s(process: psutil.Process) -> float:
    import psutil

    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _wait_for_the_command(number: int, frame: FrameType | None) -> None:
    """Keeps an interrupt from ending the measurement before the command has dealt with it."""
