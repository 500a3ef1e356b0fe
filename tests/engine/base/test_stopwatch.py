"""Phases add up by name, also where one ends in an error."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.stopwatch import Stopwatch


def test_phases_add_up_in_order_of_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 2.0, 10.0, 10.5, 20.0, 23.0])
    monkeypatch.setattr("flare_trt.engine.base.stopwatch.time.perf_counter", lambda: next(times))
    watch = Stopwatch()
    with watch.phase("read"):
        pass
    with watch.phase("network"):
        pass
    with pytest.raises(KeyError), watch.phase("read"):
        raise KeyError
    assert list(watch.seconds.items()) == [("read", 5.0), ("network", 0.5)]
