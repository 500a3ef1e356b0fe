"""DSC and seconds of bundles on the scans that were held out, and the two tables made of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.score.dice import dice
from flare_trt.engine.base.organs import ORGANS, TUMOUR
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmenter


@dataclass(frozen=True)
class Score:
    """Means over the held-out scans: DSC of the organs (of all scans and classes), DSC of tumour, wall and CPU seconds a scan."""

    name: str
    organ_dsc: float
    tumour_dsc: float | None
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Step:
    """A command that was run, and what it took."""

    name: str
    wall_s: float
    cpu_s: float


def score(name: str, bundle: Path, scans: Sequence[tuple[Volume, Volume]]) -> Score:
    """Segment the held-out scans with a bundle."""
    organs, tumours = list[float](), list[float]()
    with Segmenter.open(bundle, RunOptions(device="cpu")) as segmenter:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        found = [segmenter.segment(ct).labels.array for ct, _ in scans]
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    for labels, (_, truth) in zip(found, scans, strict=True):
        organs += [dice(truth.array == organ, labels == organ) for organ in ORGANS if (truth.array == organ).any()]
        if (truth.array == TUMOUR).any():
            tumours.append(dice(truth.array == TUMOUR, labels == TUMOUR))
    tumour = float(np.mean(tumours)) if tumours else None
    return Score(name, float(np.mean(organs)), tumour, wall_s / len(scans), cpu_s / len(scans))


@dataclass(frozen=True)
class Figures:
    """Of one seed: the rows of table 5, those of table 6, and the steps."""

    labels: Sequence[Score]
    coarse: Sequence[Score]
    steps: Sequence[Step]


def over_seeds(runs: Sequence[Figures]) -> dict[str, Any]:
    """Everything that was measured, JSON-ready: each value is a list, of one value a seed."""
    return {
        "pseudo_labels": _rows([run.labels for run in runs]),
        "coarse_to_fine": _rows([run.coarse for run in runs]),
        "steps": _rows([run.steps for run in runs]),
        "wall_s": [sum(step.wall_s for step in run.steps) for run in runs],
        "cpu_s": [sum(step.cpu_s for step in run.steps) for run in runs],
    }


def _rows(tables: Sequence[Sequence[Score] | Sequence[Step]]) -> list[dict[str, Any]]:
    """One row a name, with each seed's values."""
    rows = []
    for of_seeds in zip(*([asdict(row) for row in table] for table in tables), strict=True):
        values = {key: [row[key] for row in of_seeds] for key in of_seeds[0] if key != "name"}
        rows.append({"name": of_seeds[0]["name"], **values})
    return rows


def as_markdown(figures: dict[str, Any]) -> str:
    """The paper's tables 5 and 6 in miniature, and what each step took: means over the seeds, and the lowest and highest."""
    columns = ("training", "organ DSC", "tumour DSC")
    labels = [(row["name"], *_spread(row, "organ_dsc", "tumour_dsc")) for row in figures["pseudo_labels"]]
    coarse = [(row["name"], *_spread(row, "organ_dsc", "tumour_dsc", "wall_s", "cpu_s")) for row in figures["coarse_to_fine"]]
    steps = [(step["name"], *_spread(step, "wall_s", "cpu_s")) for step in [*figures["steps"], {"name": "all", **figures}]]
    return "\n\n".join(
        [
            "What pseudo-labels bring (as table 5 of the paper):",
            markdown_table(columns, labels),
            "What the coarse network brings (as table 6):",
            markdown_table(("inference", *columns[1:], "wall s a scan", "CPU s a scan"), coarse),
            "What it took:",
            markdown_table(("step", "wall s", "CPU s"), steps),
        ]
    )


def _spread(row: dict[str, Any], *keys: str) -> Iterator[str]:
    """The mean of a row's values over the seeds, and their range where there are several."""
    for key in keys:
        values = [value for value in row[key] if value is not None]
        if not values:
            yield "-"
            continue
        digits = 3 if key.endswith("dsc") else 1
        mean, low, high = (f"{value:.{digits}f}" for value in (sum(values) / len(values), min(values), max(values)))
        yield mean if len(values) == 1 else f"{mean} ({low} to {high})"
