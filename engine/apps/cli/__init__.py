"""The `flare-trt` command: finds the command's module, parses, runs, and turns our errors into one line and an exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flare_trt.engine.apps.cli.commands import COMMANDS, build_parser
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.base.extras import EXTRAS, install_command

#: How long OpenBLAS' threads spin before they sleep, as a power of two of cycles.
_BLAS_SPIN = "OPENBLAS_THREAD_TIMEOUT"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script. Returns the exit code: 0 done, 1 failed, 2 wrong usage, 3 no such device."""
    arguments_in = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments_in if word in COMMANDS), None)
    try:
        with _loading():
            parser = build_parser(chosen)
        arguments = parser.parse_args(arguments_in)
        with _ended_by_sigterm():
            return int(arguments.run(arguments))
    except FlareError as error:
        print(f"flare-trt: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        words = f"flare-trt: {chosen} needs the package {package}, which is not installed; {install_command(package, chosen or '')}"
        print(words, file=sys.stderr)
        return FlareError.exit_code
    except KeyboardInterrupt:
        print("flare-trt: interrupted", file=sys.stderr)
        return 130


@contextmanager
def _loading() -> Iterator[None]:
    """Modules that are loaded are no garbage: looking for some among them, meanwhile and as the process ends, takes 0.08 s.

    Each thread of NumPy's OpenBLAS would spin for 2^26 cycles once it has started; what the user has set for that stays.
    """
    collects, spin = gc.isenabled(), os.environ.get(_BLAS_SPIN)
    gc.disable()
    os.environ[_BLAS_SPIN] = "4" if spin is None else spin
    try:
        yield
    finally:
        if spin is None:  # it has been read, and is nothing to hand on to other programs
            del os.environ[_BLAS_SPIN]
        if not gc.get_freeze_count():  # once a process
            gc.freeze()
        if collects:
            gc.enable()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, so that files being written are finished or removed; exit code 143."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
