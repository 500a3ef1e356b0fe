"""What the commands print: lines, tables, and a progress bar that shows on a terminal only."""

from __future__ import annotations

import sys
import threading
import time

from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.results.scan_report import ScanReport

_BAR_WIDTH = 30
_REDRAW_S = 0.1


class Console:
    """Lines and one progress bar from several threads without one breaking into the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._terminal = sys.stderr.isatty()
        self._drawn_s = 0.0

    def line(self, text: str) -> None:
        """Print a line of results."""
        with self._lock:
            self._erase()
            print(text, flush=True)

    def complain(self, text: str) -> None:
        """Print a line of warnings or errors."""
        with self._lock:
            self._erase()
            print(text, file=sys.stderr, flush=True)

    def progress(self, title: str, done: int, total: int) -> None:
        """Draw the bar, at most ten times a second."""
        now_s = time.monotonic()
        if not self._terminal or (done < total and now_s - self._drawn_s < _REDRAW_S):
            return
        with self._lock:
            self._drawn_s = now_s
            filled = _BAR_WIDTH * done // max(1, total)
            bar = "#" * filled + "." * (_BAR_WIDTH - filled)
            print(f"\r\033[K{title} [{bar}] {done}/{total}", end="", file=sys.stderr, flush=True)

    def _erase(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def organ_table(report: ScanReport) -> str:
    """Volume, HU and cut edges of each organ."""
    rows = [["organ", "ml", "mean HU", "std HU", "cut at"]]
    for organ in report.organs:
        hu = ["-", "-"] if organ.mean_hu is None or organ.std_hu is None else [f"{organ.mean_hu:.0f}", f"{organ.std_hu:.0f}"]
        rows.append([organ.name, f"{organ.volume_ml:.1f}", *hu, " ".join(organ.touches_edge) or "-"])
    return aligned_table(rows)


def stage_table(report: ScanReport) -> str:
    """Seconds of each stage and of all."""
    stages = report.run.stages
    rows = [["stage", "s"], *([name, f"{seconds:.2f}"] for name, seconds in stages.items())]
    return aligned_table([*rows, ["all", f"{sum(stages.values()):.2f}"]])


def where_it_ran(report: ScanReport) -> str:
    """One line: model, mode, device, backend, kernels."""
    run = report.run
    tiles = ", ".join(f"{count} {name}" for name, count in run.tiles.items())
    place = f"{run.device} ({run.device_reason}), {run.backend} {run.precision}, {run.kernels} kernels"
    return f"{run.model}, mode {run.mode}, on {place}; tiles: {tiles}"
