"""Plots of result files for the documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.figures import new_figure, save_figure
from flare_trt.benchmarks.studies.scaling import exponent, work_seconds

#: Points that a curve in a document has at most.
_POINTS = 300


def draw_comparison(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Left: where each peer's seconds go. Right: host memory of each over time, and GPU memory where there was any."""
    ran = [row for row in rows if row["problem"] is None]
    figure = new_figure((10.0, 0.9 + 0.55 * max(4, len(ran))))
    bars, curves = figure.subplots(1, 2)
    _stage_bars(bars, ran)
    _memory_curves(curves, ran)
    save_figure(figure, path)


def _stage_bars(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row["stages"]))
    colours = {name: f"C{number % 10}" for number, name in enumerate(names)} | {"rest": "lightgrey"}
    for row in rows:
        left = 0.0
        for name, seconds in (row["stages"] | {"rest": row["wall_s"] - sum(row["stages"].values())}).items():
            axes.barh(row["name"], seconds, left=left, color=colours[name], height=0.7)
            left += seconds
    handles = [axes.barh(rows[0]["name"], 0, color=colour, label=name) for name, colour in colours.items()]
    axes.legend(handles=handles, fontsize="x-small", ncols=2)
    axes.invert_yaxis()
    axes.set(xlabel="seconds")


def _memory_curves(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    for number, row in enumerate(rows):
        for name, style, label in (("tree_rss_mb", "-", row["name"]), ("gpu_tree_mb", "--", None)):
            points = _thinned(row["samples"], name)
            if points:
                axes.plot(*zip(*points, strict=True), style, color=f"C{number}", linewidth=1.1, label=label)
    axes.set(xlabel="seconds after the start", ylabel="MB (RSS; dashed: GPU)")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")


def draw_scaling(series: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Seconds and peak memory of each series on logarithmic axes, with the exponents and the network's floor."""
    figure = new_figure((3.0 * len(series), 5.6))
    grid = figure.subplots(2, len(series), squeeze=False)
    for column, (name, points) in enumerate(series.items()):
        values = [point["value"] for point in points]
        rows = [point | {"work_s": work_seconds(point), "network_s": point["stages"]["network"]} for point in points]
        seconds, memory = grid[0][column], grid[1][column]
        for key, label in (("wall_s", "wall"), ("work_s", "all stages"), ("network_s", "network"), ("floor_s", "network's floor")):
            style = ":" if key == "floor_s" else "o-"
            seconds.loglog(values, [row[key] for row in rows], style, markersize=3, label=_with_exponent(label, rows, key))
        memory.loglog(
            values, [row["peak_mb"] for row in rows], "o-", markersize=3, label=_with_exponent("peak RSS", rows, "peak_mb")
        )
        seconds.set(title=name, ylabel="seconds" if column == 0 else None)
        memory.set(xlabel=name, ylabel="MB" if column == 0 else None)
        for axes in (seconds, memory):
            axes.legend(fontsize="x-small")
            axes.grid(which="both", linewidth=0.3)
    save_figure(figure, path)


def _with_exponent(label: str, rows: Sequence[dict[str, Any]], key: str) -> str:
    slope = exponent(rows, key)
    return label if slope is None else f"{label}, exponent {slope:.2f}"


def _thinned(samples: dict[str, list[float | None]], name: str) -> list[tuple[float | None, float]]:
    """Time and value of every n-th reading, so that not more than `_POINTS` are left, the highest among them."""
    points = [(t, v) for t, v in zip(samples["time_s"], samples.get(name, []), strict=False) if v is not None]
    if not points:
        return []
    highest = max(points, key=lambda point: point[1])
    return sorted({*points[:: len(points) // _POINTS + 1], highest, points[-1]}, key=lambda point: point[0] or 0.0)
