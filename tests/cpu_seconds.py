"""A pytest plugin: which tests take the CPU's time, on a machine that does other things too.

    python -m pytest -p tests.cpu_seconds ...

CPU seconds of a test with its fixtures and all processes that it started and waited for; the dearest come last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

SHOWN = 100
_SECONDS: dict[str, float] = {}


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Time one test."""
    before = _cpu_s()
    yield
    _SECONDS[item.nodeid] = _cpu_s() - before


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the dearest tests and the sum of all."""
    terminalreporter.section("CPU seconds")
    for name, seconds in sorted(_SECONDS.items(), key=lambda pair: pair[1])[-SHOWN:]:
        terminalreporter.line(f"{seconds:8.2f} {name}")
    terminalreporter.line(f"{sum(_SECONDS.values()):8.1f} in all, {len(_SECONDS)} tests")
