"""What a prepared dataset holds, for people (Markdown) and programs (JSON)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from flare_trt.engine.base.organs import ORGANS
from flare_trt.training.prepare.inspect_case import LABEL_NAMES, CaseFacts


def datasheet(facts: Sequence[CaseFacts]) -> dict[str, Any]:
    """Counts, spacings, HU and problems of all cases, and every case's own facts, as plain JSON values."""
    usable = [fact for fact in facts if fact.usable]
    labelled = [fact for fact in usable if fact.vouched]
    return {
        "cases": len(facts),
        "usable": len(usable),
        "labelled": len(labelled),
        "complete": sum(set(ORGANS) <= set(fact.vouched) for fact in labelled),
        "unlabelled": len(usable) - len(labelled),
        "spacing_mm": _spread([fact.spacing_mm for fact in usable]),
        "shape_zyx": _spread([fact.shape_zyx for fact in usable]),
        "orientations": dict(Counter(fact.orientation for fact in usable)),
        "foreground_hu": _mean_hu(labelled),
        "classes": {name: _class_row(label, labelled) for label, name in LABEL_NAMES.items()},
        "problems": {fact.name: list(fact.problems) for fact in facts if fact.problems},
        "case_facts": [asdict(fact) for fact in facts],
    }


def markdown(sheet: dict[str, Any]) -> str:
    """The datasheet as a page."""
    lines = [
        "# Datasheet",
        "",
        f"{sheet['cases']} cases, {sheet['usable']} usable: {sheet['labelled']} labelled ({sheet['complete']} for all organs), "
        f"{sheet['unlabelled']} unlabelled.",
        "",
        "| axis (z, y, x) | least | median | most |",
        "|---|---|---|---|",
        *(
            f"| {title} | {' | '.join(', '.join(f'{value:.4g}' for value in sheet[key][column]) for column in COLUMNS)} |"
            for title, key in (("spacing, mm", "spacing_mm"), ("voxels", "shape_zyx"))
            if sheet[key]
        ),
        "",
        "| class | cases that vouch for it | that show it | median ml |",
        "|---|---|---|---|",
        *(f"| {name} | {row['vouched']} | {row['present']} | {row['median_ml']:.1f} |" for name, row in sheet["classes"].items()),
        "",
        f"Foreground HU (mean over cases): {sheet['foreground_hu'] or 'no labels'}. Orientations: {sheet['orientations']}.",
        "",
        "## Problems",
        "",
        *([f"- {name}: {'; '.join(found)}" for name, found in sheet["problems"].items()] or ["None found."]),
    ]
    return "\n".join(lines) + "\n"


COLUMNS = ("least", "median", "most")


def _spread(rows: Sequence[tuple[float, ...]]) -> dict[str, list[float]]:
    if not rows:
        return {}
    table = np.array(rows, float)
    return dict(zip(COLUMNS, (part.tolist() for part in (table.min(0), np.median(table, 0), table.max(0))), strict=True))


def _class_row(label: int, labelled: Sequence[CaseFacts]) -> dict[str, float]:
    volumes = [fact.volumes_ml[label] for fact in labelled if label in fact.volumes_ml]
    return {
        "vouched": sum(label in fact.vouched for fact in labelled),
        "present": len(volumes),
        "median_ml": float(np.median(volumes)) if volumes else 0.0,
    }


def _mean_hu(labelled: Sequence[CaseFacts]) -> dict[str, float]:
    found = [asdict(fact.foreground_hu) for fact in labelled if fact.foreground_hu is not None]
    return {key: round(float(np.mean([row[key] for row in found])), 1) for key in found[0]} if found else {}
