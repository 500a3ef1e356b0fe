"""The memory plot: every sample in its place, bands with their names where there is room, round ticks."""

from __future__ import annotations

import re

import pytest

from flare_trt.engine.results.html.memory_plot import memory_plot, ticks
from flare_trt.engine.results.memory_curve import MemoryCurve, Phase

CURVE = MemoryCurve((0.0, 1.0, 4.0), (100.0, 300.0, 200.0), (Phase("read", 0.0, 0.04), Phase("segment <b>", 1.0, 4.0)))


def numbers(text: str) -> list[float]:
    return [float(word) for word in re.findall(r"[\d.]+", text)]


def test_samples_lie_where_their_time_and_memory_put_them() -> None:
    (points,) = re.findall(r'<polyline points="([^"]*)"', memory_plot(CURVE).text)
    x0, y0, x1, y1, x2, y2 = numbers(points)
    assert (x1 - x0) / (x2 - x0) == pytest.approx(1 / 4, abs=0.01)
    assert (y0 - y1) / (y2 - y1) == pytest.approx(2, abs=0.01)  # 200 MB down, then 100; y grows downwards
    assert y1 < y2 < y0


def test_a_band_has_its_name_where_there_is_room_and_escapes_it() -> None:
    text = memory_plot(CURVE).text
    assert "<title>read: 0.04 s</title>" in text
    assert ">read</text>" not in text
    assert ">segment &lt;b&gt;</text>" in text


def test_it_is_described_in_words() -> None:
    words = "Resident memory from 100 MB at the start to a peak of 300 MB within 4.0 s."
    assert f"<desc>{words}</desc>" in memory_plot(CURVE).text


def test_a_single_reading_is_drawn() -> None:
    assert "within 0.0 s" in memory_plot(MemoryCurve((0.0,), (5.0,), ())).text


@pytest.mark.parametrize("highest", [0.003, 0.9, 7.0, 130.0, 4321.0])
def test_ticks_are_few_round_and_inside(highest: float) -> None:
    found = ticks(highest)
    assert found[0] == 0
    assert 3 <= len(found) <= 8
    assert found[-1] <= highest
    assert {f"{tick:e}"[0] for tick in found[1:2]} <= {"1", "2", "5"}
