"""What comes one after another, made by one thread while another does its part of the work."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class _End:
    """Behind the last item."""


def read_ahead(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """The items in order, made by a thread of their own up to `ahead` of them early; an error is raised where its item would come.

    Who stops early closes this generator, or drops it: the thread ends with the item that it is at.
    """
    end = _End()
    with ThreadPoolExecutor(1, "ahead") as thread:
        waiting = deque(thread.submit(next, items, end) for _ in range(ahead))
        try:
            while not isinstance(item := waiting.popleft().result(), _End):
                waiting.append(thread.submit(next, items, end))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)
            if isinstance(items, Generator):
                items.close()
