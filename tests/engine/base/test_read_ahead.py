"""A thread unpacks while another thread works: order, errors and early ends are those of the plain iterator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from flare_trt.engine.base.read_ahead import read_ahead


@pytest.mark.parametrize("ahead", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 40])
def test_items_come_in_order_from_a_thread_of_their_own(count: int, ahead: int) -> None:
    makers = set()

    def items() -> Iterator[int]:
        for number in range(count):
            makers.add(threading.current_thread())
            yield number

    assert list(read_ahead(items(), ahead)) == list(range(count))
    assert threading.current_thread() not in makers
    assert len(makers) == min(count, 1)
    assert not any(maker.is_alive() for maker in makers)


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise EOFError("ends early")

    ahead = read_ahead(items(), 4)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(EOFError, match="ends early"):
        next(ahead)


@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_who_stops_early_leaves_nothing_running(ahead: int) -> None:
    made: list[int] = []
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            for number in range(1000):
                made.append(number)
                yield number
        finally:
            closed.set()

    before = threading.active_count()
    with closing(read_ahead(items(), ahead)) as early:
        assert next(early) == 0
    assert closed.is_set()
    assert len(made) <= 1 + ahead, "the one that was taken, and those that wait or are being made"
    assert threading.active_count() == before
