"""One round of pseudo-labelling: every case of a prepared dataset is read by the teacher, merged, judged and written.

Experts' labels are read from the prepared dataset in each round, never from a round before, so errors of a teacher cannot
settle. A round before only serves as a second opinion.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.nifti import read_ct, read_labels, write_labels
from flare_trt.engine.volume import Volume
from flare_trt.training.prepare.cases import CHANNEL, ENDING, Case
from flare_trt.training.prepare.raw_dataset import VOUCHED_FILE, DatasetNames, LabelledCase, write_datasets, write_json
from flare_trt.training.prepare.vouching import TUMOUR
from flare_trt.training.pseudo.gates import GateLimits, agreement, judge
from flare_trt.training.pseudo.merge import Expert, merge_labels, vouched_after
from flare_trt.training.pseudo.teachers import Reading, Teacher


@dataclass(frozen=True)
class Teachers:
    """`organs` fills organs; `tumour` (which may be the same model) marks tumour, or None where no model knows it."""

    organs: Teacher
    tumour: Teacher | None = None


@dataclass(frozen=True)
class RoundPlan:
    """`source` is the prepared fine dataset, `before` that of the last round; `soft` keeps the teacher's probabilities."""

    source: Path
    raw: Path
    names: DatasetNames
    limits: GateLimits = field(default_factory=GateLimits)
    before: Path | None = None
    soft: bool = False

    @property
    def work(self) -> Path:
        """Where cases are kept until all are done: a round that was stopped goes on from here."""
        return self.raw / f".pseudo_{self.names.dataset_id:03d}"


def run_round(plan: RoundPlan, teachers: Teachers) -> dict[str, Any]:
    """Run the round and write its pair of datasets; returns the report (also pseudo_labels.json in the fine dataset).

    A case that fails its gates keeps its expert's labels alone, or is left out where no expert has seen it.
    """
    plan.work.mkdir(parents=True, exist_ok=True)
    accepted, left_out, rows = list[LabelledCase](), list[Case](), dict[str, dict[str, Any]]()
    for case, vouched in prepared_cases(plan.source):
        row = _case_row(case, frozenset(vouched), plan, teachers)
        rows[case.name] = row
        if row["passed"]:
            accepted.append(LabelledCase(case.name, case.image, plan.work / f"{case.name}{ENDING}", tuple(row["vouched"])))
        elif case.label is not None:
            accepted.append(LabelledCase(case.name, case.image, case.label, tuple(vouched)))
        else:
            left_out.append(case)
    write_datasets(accepted, left_out, plan.raw, plan.names)
    tumour = teachers.tumour.name if teachers.tumour is not None else None
    report = {"teacher": teachers.organs.name, "tumour_teacher": tumour, "limits": asdict(plan.limits), "cases": rows}
    write_json(plan.raw / plan.names.fine / "pseudo_labels.json", report)
    return report


def prepared_cases(dataset: Path) -> Iterator[tuple[Case, list[int]]]:
    """Labelled and unlabelled cases of a dataset that `write_datasets` wrote, and what each vouches for."""
    vouched: dict[str, list[int]] = json.loads((dataset / VOUCHED_FILE).read_text("utf-8"))
    for name in sorted(vouched):
        yield Case(name, dataset / "imagesTr" / f"{name}{CHANNEL}{ENDING}", dataset / "labelsTr" / f"{name}{ENDING}"), vouched[name]
    for image in sorted((dataset / "imagesUnlabeled").glob(f"*{CHANNEL}{ENDING}")):
        yield Case(image.name.removesuffix(f"{CHANNEL}{ENDING}"), image, None), []


def _case_row(case: Case, vouched: frozenset[int], plan: RoundPlan, teachers: Teachers) -> dict[str, Any]:
    """The case's row of the report; its merged labels lie in the work folder."""
    kept = plan.work / f"{case.name}.json"
    if kept.exists():
        row: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        return row
    ct = read_ct(case.image)
    expert = Expert(read_labels(case.label).array, vouched) if case.label else Expert.silent(ct.array.shape)
    reading = teachers.organs.read(ct)
    merged = Volume(merge_labels(expert, reading.labels, _tumour_mask(ct, reading, teachers), reading.doubt), ct.grid)
    agreements = {"expert": agreement(reading.labels, expert.labels, vouched & teachers.organs.classes)}
    if plan.before is not None and (last := plan.before / "labelsTr" / f"{case.name}{ENDING}").exists():
        agreements["the round before"] = agreement(merged.array, read_labels(last).array, teachers.organs.classes)
    result = judge(merged, agreements, plan.limits)
    row = asdict(result) | {"vouched": vouched_after(expert, teachers.organs.classes, teachers.tumour is not None)}
    write_labels(plan.work / f"{case.name}{ENDING}", merged)
    if plan.soft:
        _write_soft(reading, plan.work / f"{case.name}.npz")
    write_json(kept, row)
    return row


def _tumour_mask(ct: Volume, reading: Reading, teachers: Teachers) -> Any:
    if teachers.tumour is None:
        return None
    labels = reading.labels if teachers.tumour is teachers.organs else teachers.tumour.read(ct).labels
    return labels == TUMOUR


def _write_soft(reading: Reading, path: Path) -> None:
    """The teacher's largest shares on its own grid, and the box of the scan that they cover."""
    if reading.soft is not None and reading.box is not None:
        box = np.array([reading.box.start_zyx, reading.box.stop_zyx])
        np.savez_compressed(path, classes=reading.soft.classes, shares=reading.soft.shares, box_zyx=box)
