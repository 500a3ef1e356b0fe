"""The plot of one run's memory over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.figures import new_figure, save_figure
from flare_trt.benchmarks.measure.areas import TOLERANCE_MB
from flare_trt.benchmarks.measure.measure import Measurement

#: Curve -> how it is drawn. Whole-machine memory is left out: it mostly shows other programs.
_DRAWN = {
    "gpu_device": ("GPU, whole device", "tab:green", "-"),
    "gpu_tree": ("GPU, this command", "tab:olive", "--"),
    "tree_rss": ("host, RSS", "tab:blue", "-"),
    "tree_pss": ("host, PSS", "tab:cyan", "--"),
}


def draw_memory(measurement: Measurement, title: str, path: Path) -> None:
    """The memory curves of one run, with its stages as bands under them and FLARE's tolerance as a line."""
    figure = new_figure((8.0, 4.0))
    axes = figure.subplots()
    times = measurement.samples["time_s"]
    for name, (label, colour, style) in _DRAWN.items():
        points = [(t, v) for t, v in zip(times, measurement.samples[f"{name}_mb"], strict=True) if v is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, linestyle=style, linewidth=1.2)
    highest = max((found.peak_mb for name, found in measurement.memory.items() if name in _DRAWN), default=0.0)
    if highest > TOLERANCE_MB / 2:
        axes.axhline(TOLERANCE_MB, color="tab:red", linewidth=0.8, linestyle=":", label="FLARE tolerance, 4 GB")
    _mark_stages(axes, measurement)
    axes.set(xlabel="seconds after the start", ylabel="MB (2^20 bytes)", title=title, xlim=(0, measurement.wall_s))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", fontsize="small")
    save_figure(figure, path)


def _mark_stages(axes: Any, measurement: Measurement) -> None:
    for number, stage in enumerate(measurement.stages):
        axes.axvspan(stage.start_s, stage.stop_s, color=f"C{number % 10}", alpha=0.12, linewidth=0)
        middle = (stage.start_s + stage.stop_s) / 2
        axes.text(middle, 0.01, stage.name, rotation=90, fontsize="x-small", ha="center", transform=axes.get_xaxis_transform())
