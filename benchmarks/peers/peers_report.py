"""A comparison of peers as numbers for a result file, and the tables made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from flare_trt.benchmarks.base.tables import percent
from flare_trt.benchmarks.peers.compare import Agreement, Compared, Labels, Run, agreement, mean_dice
from flare_trt.benchmarks.peers.roster import EXACT, NNUNET
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import Check

COLUMNS = (
    *("peer", "wall (s)", "CPU (s)", "peak (MB)", "area (MB s)", "GPU peak (MB)", "GPU area (MB s)"),
    *("DSC", "equal voxels (%)", "least DSC to nnU-Net", "CPUs taken by others (%)"),
)

#: mode=exact: at least 99.99 % of voxels equal, DSC at least 0.999 for every class.
DIFFERING_LIMIT, DICE_LOSS_LIMIT = 1e-4, 1e-3


def peer_checks(found: Sequence[Compared]) -> list[Check]:
    """What has to hold for the times to count: nnU-Net and mode=exact ran, and gave the same labels."""
    by_name = {compared.peer.name: compared for compared in found}
    labels = [by_name[peer.name].labels for peer in (NNUNET, EXACT) if peer.name in by_name]
    if len(labels) < 2 or labels[0] is None or labels[1] is None:
        return [Check("nnU-Net or flare-trt exact did not run", 1.0, 0.0)]
    between = agreement(labels[1], labels[0])
    return [
        Check("flare-trt exact: share of voxels that differ from nnU-Net", between.differing, DIFFERING_LIMIT),
        Check("flare-trt exact: 1 - least DSC to nnU-Net", 1 - between.least_dice, DICE_LOSS_LIMIT),
    ]


def peer_rows(found: Sequence[Compared], reference: Labels | None) -> list[dict[str, Any]]:
    """One row of numbers for each peer, medians over its runs, with the runs themselves."""
    nnunet = next((compared.labels for compared in found if compared.peer.name == NNUNET.name), None)
    return [_row(compared, reference, nnunet) for compared in found]


def _row(compared: Compared, reference: Labels | None, nnunet: Labels | None) -> dict[str, Any]:
    labels, runs = compared.labels, compared.runs
    row: dict[str, Any] = {"name": compared.peer.name, "about": compared.peer.about, "problem": compared.problem}
    if labels is None:
        return row
    between = Agreement(0.0, 1.0) if nnunet is None else agreement(labels, nnunet)
    return row | {
        "wall_s": compared.median_of(lambda run: run.measurement.wall_s),
        "cpu_s": compared.median_of(lambda run: run.measurement.cpu_s),
        "others_share": compared.median_of(lambda run: run.measurement.others_share),
        "memory": {name: _memory(runs, name) for name in runs[0].measurement.memory},
        "dice": None if reference is None else mean_dice(labels, reference),
        "differing": None if nnunet is None else between.differing,
        "least_dice": None if nnunet is None else between.least_dice,
        "stages": {name: median(run.stages.get(name, 0.0) for run in runs) for name in runs[0].stages},
        "runs": [_raw(run) for run in runs],
        "samples": _samples(runs),
        "tiles": compared.tiles,
        "roi": compared.roi,
    }


def _memory(runs: Sequence[Run], name: str) -> dict[str, float]:
    areas = [run.measurement.memory[name] for run in runs]
    return {"peak_mb": median(a.peak_mb for a in areas), "true_mb_s": median(a.true_mb_s for a in areas)}


def _raw(run: Run) -> dict[str, Any]:
    measurement = run.measurement
    memory = {name: asdict(found) for name, found in measurement.memory.items()}
    return {
        "wall_s": measurement.wall_s,
        "cpu_s": measurement.cpu_s,
        "others_share": measurement.others_share,
        "memory": memory,
        "stages": run.stages,
    }


def _samples(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    """The samples of the run whose wall time is the median, to 0.1 MB and 1 ms."""
    middle = sorted(runs, key=lambda run: run.measurement.wall_s)[len(runs) // 2].measurement
    columns = ["time_s", *(f"{name}_mb" for name in middle.memory)]
    digits = {"time_s": 3}
    return {name: [None if v is None else round(v, digits.get(name, 1)) for v in middle.samples[name]] for name in columns}


def peer_table(rows: Sequence[dict[str, Any]]) -> str:
    """The comparison as a table; host memory is RSS: read at each sample, unlike PSS, so no peak is missed."""
    cells = []
    for row in rows:
        if row["problem"] is not None:
            cells.append((row["name"], *[None] * (len(COLUMNS) - 1)))
            continue
        host, gpu = row["memory"]["tree_rss"], row["memory"].get("gpu_tree", {})
        equal = None if row["differing"] is None else f"{100 * (1 - row['differing']):.4f}"
        least = None if row["least_dice"] is None else f"{row['least_dice']:.4f}"
        dice = None if row["dice"] is None else f"{row['dice']:.4f}"
        times = f"{row['wall_s']:.2f}", f"{row['cpu_s']:.2f}", round(host["peak_mb"]), round(host["true_mb_s"])
        memory = gpu.get("peak_mb"), gpu.get("true_mb_s")
        cells.append((row["name"], *times, *memory, dice, equal, least, percent(row.get("others_share"))))
    return markdown_table(COLUMNS, cells)


def stage_table(rows: Sequence[dict[str, Any]]) -> str:
    """Where each peer's seconds go; the rest is start-up, shut-down and what is between the stages."""
    cells = []
    for row in rows:
        if row["problem"] is None:
            stages = row["stages"] | {"rest": row["wall_s"] - sum(row["stages"].values())}
            cells.append((row["name"], ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())))
    return markdown_table(("peer", "seconds by stage"), cells)


def tile_counts(row: dict[str, Any]) -> str:
    """Tiles of the coarse and of the fine stage; a stage that did not run, or is not ours, has a dash."""
    return ", ".join(str(row["tiles"].get(stage, "-")) for stage in ("coarse", "fine"))


def ratio_lines(row: dict[str, Any], against: dict[str, Any]) -> list[str]:
    """Wall time, CPU time and peak memory of one peer over another's, both in the same run."""
    pairs = [("wall time", row["wall_s"], against["wall_s"]), ("CPU time", row["cpu_s"], against["cpu_s"])]
    pairs += [
        (f"{what} ({name})", row["memory"][name][key], against["memory"][name][key])
        for name in ("tree_rss", "tree_pss", "gpu_tree")
        for what, key in (("peak memory", "peak_mb"), ("memory-time area", "true_mb_s"))
        if name in row["memory"] and name in against["memory"]
    ]
    pairs += [
        (f"stage {name}", row["stages"][name], against["stages"][name]) for name in row["stages"] if name in against["stages"]
    ]
    return [f"{what}: {mine:.2f} / {theirs:.2f} = {mine / theirs:.3f}" for what, mine, theirs in pairs if theirs > 0]
