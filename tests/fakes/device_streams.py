"""Streams, events and graphs of the fake CuPy. Work runs at once; what real streams would leave undone is refused instead."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

_current: list[Stream] = []
_by_pointer: WeakValueDictionary[int, Stream] = WeakValueDictionary()
_pointers = count(0x1000)


class CUDARuntimeError(RuntimeError):
    """An error code of the CUDA runtime."""


class Graph:
    """Work that was captured instead of run."""

    def __init__(self, work: list[Callable[[], None]]) -> None:
        self._work = work

    def launch(self, stream: Stream | None = None) -> None:
        for piece in self._work:
            (stream or get_current_stream())._do(piece)


class Event:
    """A point in a stream's work."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.recorded_on: Stream | None = None

    def record(self, stream: Stream | None = None) -> None:
        self.recorded_on = stream or get_current_stream()

    def synchronize(self) -> None:
        require_no_capture("a synchronisation")


class Stream:
    """A stream; `null` has the pointer 0 that TensorRT must not get."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.ptr = 0 if null else next(_pointers)
        _by_pointer[self.ptr] = self
        self._captured: list[Callable[[], None]] | None = None
        self.waited_for: list[Event] = []

    def __enter__(self) -> Stream:
        _current.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _current.pop()

    def synchronize(self) -> None:
        require_no_capture("a synchronisation")

    def wait_event(self, event: Event) -> None:
        if event.recorded_on is None:
            raise RuntimeError("fake: waiting for an event that was never recorded")
        self.waited_for.append(event)

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def begin_capture(self) -> None:
        if self.ptr == 0:
            raise CUDARuntimeError("cannot capture on the default (legacy) stream")
        self._captured = []

    def end_capture(self) -> Graph:
        if self._captured is None:
            raise CUDARuntimeError("end_capture without begin_capture")
        work, self._captured = self._captured, None
        return Graph(work)

    def is_capturing(self) -> bool:
        return self._captured is not None

    def _do(self, piece: Callable[[], None]) -> None:
        """Run a piece of work now, or keep it where the stream is being captured."""
        if self._captured is None:
            piece()
        else:
            self._captured.append(piece)


Stream.null = Stream(null=True)


def get_current_stream() -> Stream:
    """The innermost stream that was entered, else the default stream."""
    return _current[-1] if _current else Stream.null


def require_no_capture(what: str) -> None:
    """Refuse what may not happen while any stream is being captured: memory that moves, and synchronous work."""
    if any(stream.is_capturing() for stream in _by_pointer.values()):
        raise RuntimeError(f"{what} while a stream is being captured")


def stream_at(pointer: int) -> Stream:
    """The stream that a raw pointer names."""
    return _by_pointer[pointer]
