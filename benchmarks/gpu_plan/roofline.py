"""The least time and the planned memory of the paper's scans on some GPUs: what the plan moves and computes, over data sheets.

A floor: no step overlaps another, each convolution is one pass over its input and output, and every unit runs at its peak. The
paper gives neither the scans' spacing nor its boxes, so both are assumed and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from flare_trt.benchmarks.gpu_plan.cards import CARDS
from flare_trt.benchmarks.gpu_plan.paper import TABLE_4, Measured, paper_model
from flare_trt.benchmarks.gpu_plan.plan_table import area_mb_s, least_seconds, stage_rows
from flare_trt.benchmarks.gpu_plan.scan_plan import PlannedModel, PlannedScan, plan_scan
from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.base.units import MB, MIB
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.model.options import RunOptions

#: Extents of the organs that the fine stage sees, (head-foot, front-back, left-right), as in CTs of adults at hand.
ORGANS_MM: Vector = (300.0, 200.0, 320.0)
SPACING_MM: Vector = (2.5, 0.8, 0.8)
MODES: tuple[Mode, ...] = ("exact", "fast")


def roofline_rows(scans: Sequence[Measured] = TABLE_4) -> list[dict[str, Any]]:
    """One row for each scan and mode."""
    model = paper_model()
    return [row for measured in scans for row in _rows(model, measured)]


def _rows(model: PlannedModel, measured: Measured) -> Iterator[dict[str, Any]]:
    for mode in MODES:
        plan = plan_scan(model, PlannedScan.of(measured.grid(SPACING_MM), extent_mm=ORGANS_MM), RunOptions(mode=mode))
        stages = {card.name: {row.stage: row.seconds for row in stage_rows(plan, card) if row.seconds} for card in CARDS}
        yield {
            "case": measured.case,
            "slices": measured.slices,
            "precision": plan.precision,
            "paper": {"seconds": measured.seconds, "peak_mb": measured.peak_mb, "area_mb_s": measured.area_mb_s},
            "peak_mb": plan.peak_bytes / MIB,
            "floor_s": {card.name: least_seconds(plan, card) for card in CARDS},
            "area_mb_s": {card.name: area_mb_s(plan, card) * MB / MIB for card in CARDS},
            "stages_s": stages,
        }


def total_table(rows: Sequence[dict[str, Any]], precision: Literal["fp32", "fp16"]) -> str:
    """Each scan's floor on every card, its planned peak and the paper's measurements."""
    cards = [card.name for card in CARDS]
    columns = ("case", "slices", *(f"{name} (s)" for name in cards), "paper (s)", "peak (MB)", "paper's peak (MB)")
    cells = [
        (
            row["case"],
            row["slices"],
            *(row["floor_s"][name] for name in cards),
            f"{row['paper']['seconds']:.2f}",
            round(row["peak_mb"]),
            row["paper"]["peak_mb"],
        )
        for row in rows
        if row["precision"] == precision
    ]
    return markdown_table(columns, cells)


def roofline_stage_table(row: dict[str, Any]) -> str:
    """One scan's floor by stage, in ms."""
    cards = [card.name for card in CARDS]
    stages = row["stages_s"][cards[0]]
    cells = [(_stage_name(stage), *(1000 * row["stages_s"][name][stage] for name in cards)) for stage in stages]
    return markdown_table(("stage", *(f"{name} (ms)" for name in cards)), cells)


def _stage_name(stage: str) -> str:
    """What the pipeline's stopwatch leaves unnamed is the cutting of tiles."""
    return stage if " " in stage else f"{stage} tiles"
