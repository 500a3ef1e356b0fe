"""The report of a pseudo-label round for people: what passed, what failed and why, and pictures of the least agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flare_trt.engine.base.files import CHANNEL, write_text
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.training.prepare.cases import ENDING
from flare_trt.training.pseudo.pictures import draw_case


def write_report(report: Mapping[str, Any], dataset: Path, work: Path, pictures: int) -> None:
    """Write pseudo_labels.md and the pictures of the `pictures` worst cases into the dataset's folder."""
    rows: Mapping[str, Mapping[str, Any]] = report["cases"]
    worst = sorted(rows, key=lambda name: (rows[name]["passed"], rows[name]["agreement"]))[:pictures]
    for name in worst:
        image = _image_of(dataset, name)
        title = f"{name}: least agreement {rows[name]['agreement']:.2f}" + ("" if rows[name]["passed"] else ", failed")
        draw_case(read_ct(image), read_labels(work / f"{name}{ENDING}"), title, dataset / f"pseudo_{name}.png")
    write_text(dataset / "pseudo_labels.md", markdown(report, worst))


def markdown(report: Mapping[str, Any], worst: list[str]) -> str:
    """The page: counts, failures with their reasons, and the worst cases' pictures."""
    rows = report["cases"]
    failed = {name: row for name, row in rows.items() if not row["passed"]}
    scores = ", ".join(f"{name} {score:.2f}" for name, score in report["class_dice"].items())
    not_taken = ", ".join(report["not_taken"])
    lines = [
        "# Pseudo-labels",
        "",
        f"Teacher {report['teacher']}, tumour teacher {report['tumour_teacher'] or 'none'}. "
        f"{len(rows)} cases, {len(rows) - len(failed)} passed, {len(failed)} failed.",
        "",
        f"Dice with the experts over all cases: {scores}. Not taken from the teacher, being too low: {not_taken or 'none'}.",
        "",
        "## Failed",
        "",
        *([f"- {name}: {'; '.join(row['findings'])}" for name, row in failed.items()] or ["None."]),
        "",
        "## Least agreement",
        "",
        *(f"![{name}](pseudo_{name}.png)" for name in worst),
    ]
    return "\n".join(lines) + "\n"


def _image_of(dataset: Path, name: str) -> Path:
    file = f"{name}{CHANNEL}{ENDING}"
    trained = dataset / "imagesTr" / file
    return trained if trained.exists() else dataset / "imagesUnlabeled" / file
