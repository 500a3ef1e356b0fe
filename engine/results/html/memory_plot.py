"""The memory of the run over time as inline SVG: a line, its area, and bands of what was being done."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flare_trt.engine.results.html.markup import Markup, tag
from flare_trt.engine.results.memory_curve import MemoryCurve, Phase

#: The picture and the margins of its axes, in SVG units.
_WIDTH, _HEIGHT = 860, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 44
#: A band shows its name where it is so wide for each letter.
_LETTER = 8
_TICKS = 5


def memory_plot(curve: MemoryCurve) -> Markup:
    """The plot, described for who cannot see it."""
    seconds, peak_mb = max(curve.time_s[-1], 0.001), max(curve.peak_mb, 1.0)
    scale = _Scale(seconds, 1.1 * peak_mb)
    points = " ".join(f"{scale.x(at):.1f},{scale.y(mb):.1f}" for at, mb in zip(curve.time_s, curve.rss_mb, strict=True))
    area = f"{scale.x(curve.time_s[0]):.1f},{scale.y(0):.1f} {points} {scale.x(seconds):.1f},{scale.y(0):.1f}"
    bands = [_band(phase, number, scale) for number, phase in enumerate(curve.phases)]
    line = tag("polyline", points=points, class_="line")
    words = f"Resident memory from {curve.rss_mb[0]:.0f} MB at the start to a peak of {peak_mb:.0f} MB within {seconds:.1f} s."
    return tag(
        "svg",
        tag("title", "Memory over time"),
        tag("desc", words),
        *bands,
        *_axes(scale),
        tag("polygon", points=area, class_="area"),
        line,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"Memory over time. {words}",
        class_="plot",
    )


def ticks(highest: float) -> list[float]:
    """Round numbers from 0 up to `highest`, about _TICKS of them.

    >>> ticks(11.5), ticks(0.042)
    ([0, 2, 4, 6, 8, 10], [0.0, 0.01, 0.02, 0.03, 0.04])
    """
    rough = highest / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.8 * rough)
    return [round(step * number, 12) for number in range(int(highest / step + 1e-9) + 1)]


class _Scale:
    """From seconds and MB to the picture's coordinates."""

    def __init__(self, seconds: float, mb: float) -> None:
        self.seconds, self.mb = seconds, mb

    def x(self, seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(seconds, self.seconds) / self.seconds

    def y(self, mb: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * mb / self.mb


def _band(phase: Phase, number: int, scale: _Scale) -> Markup:
    left, right = scale.x(phase.start_s), scale.x(phase.stop_s)
    title = tag("title", f"{phase.name}: {phase.stop_s - phase.start_s:.2f} s")
    height = _HEIGHT - _TOP - _BOTTOM
    box = tag(
        "rect", title, x=f"{left:.1f}", y=_TOP, width=f"{max(right - left, 0.5):.1f}", height=height, class_=f"band{number % 2}"
    )
    if right - left < _LETTER * len(phase.name):
        return box
    name = tag("text", phase.name, x=f"{(left + right) / 2:.1f}", y=_TOP + 14, class_="middle")
    return tag("g", box, name)


def _axes(scale: _Scale) -> Iterator[Markup]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for mb in ticks(scale.mb):
        yield tag("line", x1=_LEFT, x2=right, y1=f"{scale.y(mb):.1f}", y2=f"{scale.y(mb):.1f}", class_="grid")
        yield tag("text", f"{mb:g}", x=_LEFT - 8, y=f"{scale.y(mb) + 4:.1f}", class_="end")
    for seconds in ticks(scale.seconds):
        yield tag("text", f"{seconds:g}", x=f"{scale.x(seconds):.1f}", y=bottom + 18, class_="middle")
    yield tag("text", "seconds", x=(_LEFT + right) // 2, y=_HEIGHT - 6, class_="middle")
    middle = (_TOP + bottom) // 2
    yield tag("text", "MB", x=14, y=middle, class_="middle", transform=f"rotate(-90 14 {middle})")
