"""The tables of a `gpu` result, for the terminal and docs/benchmarks.md alike. `make gpu` makes such results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flare_trt.engine.base.text_tables import markdown_table

Outcome = dict[str, Any]


def gpu_tables(outcomes: Sequence[Outcome]) -> str:
    """The steps, what could not be done, and a table of each step's numbers."""
    data = {outcome["name"]: outcome["data"] for outcome in outcomes}
    made = {
        "networks": (network_table, "networks"),
        "parity": (parity_table, "rows"),
        "kernels": (kernel_table, "rows"),
        "scans": (scan_table, "rows"),
    }
    tables = [table(data[name]) for name, (table, rows) in made.items() if data.get(name, {}).get(rows)]
    return "\n\n".join([step_table(outcomes), *tables, *_words(outcomes)])


def step_table(outcomes: Sequence[Outcome]) -> str:
    """What became of each step."""
    return markdown_table(("step", "outcome", "seconds"), [(o["name"], o["status"], f"{o['seconds']:.1f}") for o in outcomes])


def network_table(data: dict[str, Any]) -> str:
    """Each network by the backend that was taken."""
    columns = (f"network by {data['backend']}", "precision", "open (s)", "run (ms)", "largest error (std)", "equal arg-max")
    keys = ("network", "precision", "open_s", "run_ms", "largest_error_std", "equal_argmax")
    return markdown_table(columns, [[_exact(row[key]) for key in keys] for row in data["networks"]])


def parity_table(data: dict[str, Any]) -> str:
    """GPU against CPU."""
    columns = ("GPU against CPU", "precision", "equal voxels", "least DSC", "same tiles", "same ROI", "GPU (s)", "CPU (s)")
    keys = ("case", "precision", "equal", "least_dice", "same_tiles", "same_roi", "gpu_s", "cpu_s")
    return markdown_table(columns, [[_exact(row[key]) for key in keys] for row in data["rows"]])


def kernel_table(data: dict[str, Any]) -> str:
    """Each kernel's bandwidth against the card's copy."""
    rates = data["copy_gb_s"]
    words = f"The card copies {rates['device']:.0f} GB/s (read and written), {rates['up']:.1f} up and {rates['down']:.1f} down."
    rows = [(r["name"], f"{r['us']:.0f}", f"{r['gb_s']:.0f}", f"{100 * r['of_copy']:.0f} %") for r in data["rows"]]
    return words + "\n\n" + markdown_table(("kernel", "us a call", "GB/s", "of the copy"), rows)


def scan_table(data: dict[str, Any]) -> str:
    """Whole scans and their memory; then each mode's stages."""
    columns = (
        "scan",
        "precision",
        "open (s)",
        "first (s)",
        "again (s)",
        "on the GPU (s)",
        "peak (MB)",
        "area (MB s)",
        "DSC to exact",
    )
    rows = [_scan_row(row) for row in data["rows"]]
    stages = [
        f"{row['mode']}: {', '.join(f'{name} {seconds:.3f} s' for name, seconds in row['stages'].items())}" for row in data["rows"]
    ]
    size = " x ".join(map(str, data["shape_zyx"][::-1]))
    words = f"A phantom of {size} voxels. Peak and area are of the whole card, from before the networks are opened."
    return "\n\n".join([words, markdown_table(columns, rows), "\n".join(f"- {line}" for line in stages)])


def _scan_row(row: dict[str, Any]) -> tuple[object, ...]:
    areas = row["memory"]["cold"]["areas"] or {"peak_mb": None, "true_mb_s": None}
    seconds = [f"{row[key]:.2f}" for key in ("open_s", "first_s", "warm_s", "device_s")]
    memory = [None if areas[key] is None else round(areas[key]) for key in ("peak_mb", "true_mb_s")]
    return row["mode"], row["precision"], *seconds, *memory, _exact(row.get("dice_to_exact"))


def _words(outcomes: Sequence[Outcome]) -> list[str]:
    """What failed and what could not be done, a list each."""
    failed = [f"- {o['name']}: {_ends(text)}" for o in outcomes for text in (o["error"], *o["problems"]) if text]
    notes = [f"- {o['name']}: {_ends(text)}" for o in outcomes for text in dict.fromkeys(o["notes"])]
    parts = [("Failed:", failed), ("Could not be done, or was done otherwise:", notes)]
    return [f"{title}\n\n" + "\n".join(lines) for title, lines in parts if lines]


def _ends(text: str) -> str:
    """The first line of a log and, where there are more, the last one, which is what a traceback ends with."""
    lines = text.strip().splitlines()
    return " ... ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else ""


def _exact(value: object) -> object:
    """Shares near 1 with the digits that tell them from 1."""
    return f"{value:.6f}" if isinstance(value, float) and 0.9 < value <= 1 else value
