"""Peers on one CT with the same weights, each a process of its own, measured from outside and compared by its labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from flare_trt.benchmarks.measure.measure import Measurement, MeasureOptions, measure
from flare_trt.benchmarks.measure.phases import phase_seconds
from flare_trt.benchmarks.peers.roster import LABELS, REPORT, Peer, Task
from flare_trt.benchmarks.score.dice import dice
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.kernels import Box

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Run:
    """One run of one peer. `stages` are seconds; what they do not cover is start-up and shut-down."""

    measurement: Measurement
    stages: dict[str, float]


@dataclass(frozen=True)
class Compared:
    """A peer's runs and labels; `problem` says why there are none.

    `tiles` by stage, and the ROI's decision and box, are in our own report alone.
    """

    peer: Peer
    runs: tuple[Run, ...] = ()
    labels: Labels | None = None
    problem: str | None = None
    tiles: dict[str, int] = field(default_factory=dict)
    roi: str | None = None
    box: Box | None = None

    def median_of(self, value: Callable[[Run], float]) -> float | None:
        """The median of a number over the runs."""
        return median(value(run) for run in self.runs) if self.runs else None


@dataclass(frozen=True)
class Agreement:
    """Two label maps: the share of voxels that differ, and the least DSC of any label that one of them holds."""

    differing: float
    least_dice: float


def compare(task: Task, peers: Sequence[Peer], repeats: int, folder: Path) -> list[Compared]:
    """Run every peer `repeats` times, in turn (A B C, A B C, ...), so that a drift of the machine hits all alike.

    What a peer prints goes to log.txt in its own folder. A peer that fails is reported with its exit code and run no more.
    """
    found = {peer.name: Compared(peer, problem=peer.problem()) for peer in peers}
    for number in range(repeats):
        for peer in peers:
            before = found[peer.name]
            if before.problem is None:
                found[peer.name] = _run_once(before, task, folder / f"{_slug(peer.name)}-{number}")
    return list(found.values())


def _run_once(before: Compared, task: Task, folder: Path) -> Compared:
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    measurement = measure(before.peer.command(task, folder), MeasureOptions(log=log))
    if measurement.exit_code != 0 or not (folder / LABELS).exists():
        return Compared(before.peer, problem=f"failed with exit code {measurement.exit_code}: {last_line(log)}")
    labels = read_labels(folder / LABELS).array
    if before.labels is not None and not np.array_equal(before.labels, labels):
        raise FlareError(f"{before.peer.name}: two runs gave different labels; a comparison of times would mean nothing")
    if not (folder / REPORT).exists():
        return Compared(before.peer, (*before.runs, Run(measurement, phase_seconds(measurement.stages))), labels)
    told = json.loads((folder / REPORT).read_text())["run"]
    runs = (*before.runs, Run(measurement, told["stages"]))
    compared = Compared(before.peer, runs, labels, tiles=told["tiles"])
    if told["roi"] is None:
        return compared
    box = Box(tuple(told["roi"]["start_zyx"]), tuple(told["roi"]["stop_zyx"]))
    return replace(compared, roi=told["roi"]["decision"], box=box)


def last_line(log: Path) -> str:
    """The last words of a command, which mostly say what went wrong."""
    return "".join(log.read_text(errors="replace").strip().splitlines()[-1:])[:200]


def agreement(labels: Labels, other: Labels) -> Agreement:
    """How far two label maps of one shape agree."""
    present = [int(value) for value in np.union1d(np.unique(labels), np.unique(other)) if value != 0]
    least = min((dice(other == value, labels == value) for value in present), default=1.0)
    return Agreement(float(np.mean(labels != other)), least)


def mean_dice(labels: Labels, reference: Labels) -> float:
    """Mean DSC over the labels that the reference holds. Where it holds none: 1 if the other map holds none either, else NaN."""
    present = [int(value) for value in np.unique(reference) if value != 0]
    if not present:
        return float("nan") if labels.any() else 1.0
    return float(np.mean([dice(reference == value, labels == value) for value in present]))


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
