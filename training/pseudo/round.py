"""One round of pseudo-labelling: every case of a prepared dataset is read by the teacher, merged, judged and written.

Experts' labels are read from the prepared dataset in each round, never from a round before, so errors of a teacher cannot
settle. A round before only serves as a second opinion.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import CHANNEL, write_json
from flare_trt.engine.base.organs import TUMOUR
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import NiftiReader, write_labels
from flare_trt.training.prepare.cases import ENDING, Case
from flare_trt.training.prepare.inspect_case import LABEL_NAMES
from flare_trt.training.prepare.raw_dataset import VOUCHED_FILE, DatasetNames, LabelledCase, write_datasets
from flare_trt.training.pseudo.gates import GateLimits, agreement, judge
from flare_trt.training.pseudo.merge import Expert, is_one_of, merge_labels, vouched_after
from flare_trt.training.pseudo.readings import read_case
from flare_trt.training.pseudo.teachers import Teachers
from flare_trt.training.pseudo.trust import class_dice, overlaps


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

    A class of the teacher's that agrees too little with the experts over all cases is not taken from it: its voxels are
    ignored, and no case vouches for it on the teacher's word. A case that fails its gates keeps its expert's labels alone,
    or is left out where no expert has seen it.
    """
    cases = list(prepared_cases(plan.source))
    scores = _class_scores(cases, plan, teachers)
    trusted = teachers.classes - {label for label, score in scores.items() if score < plan.limits.least_dice}
    accepted, left_out, rows = list[LabelledCase](), list[Case](), dict[str, dict[str, Any]]()
    for case, vouched in cases:
        row = rows[case.name] = _case_row(case, vouched, trusted, plan, teachers)
        if row["passed"]:
            accepted.append(LabelledCase(case.name, case.image, plan.work / f"{case.name}{ENDING}", tuple(row["vouched"])))
        elif case.label is not None:
            accepted.append(LabelledCase(case.name, case.image, case.label, tuple(sorted(vouched))))
        else:
            left_out.append(case)
    write_datasets(accepted, left_out, plan.raw, plan.names)
    report = {
        "teacher": teachers.organs.name,
        "tumour_teacher": teachers.tumour.name if teachers.tumour is not None else None,
        "limits": asdict(plan.limits),
        "class_dice": {LABEL_NAMES[label]: round(score, 3) for label, score in scores.items()},
        "not_taken": [LABEL_NAMES[label] for label in sorted(teachers.classes - trusted)],
        "cases": rows,
    }
    write_json(plan.raw / plan.names.fine / "pseudo_labels.json", report)
    return report


def prepared_cases(dataset: Path) -> Iterator[tuple[Case, frozenset[int]]]:
    """Labelled and unlabelled cases of a dataset that `write_datasets` wrote, and what each vouches for."""
    if not (dataset / VOUCHED_FILE).exists():
        raise InputError(f"{dataset}: holds no {VOUCHED_FILE}, expected a fine dataset that 'flare-trt train prepare' wrote")
    vouched: dict[str, list[int]] = json.loads((dataset / VOUCHED_FILE).read_text("utf-8"))
    for name in sorted(vouched):
        image, label = dataset / "imagesTr" / f"{name}{CHANNEL}{ENDING}", dataset / "labelsTr" / f"{name}{ENDING}"
        yield Case(name, image, label), frozenset(vouched[name])
    for image in sorted((dataset / "imagesUnlabeled").glob(f"*{CHANNEL}{ENDING}")):
        yield Case(image.name.removesuffix(f"{CHANNEL}{ENDING}"), image, None), frozenset()


def _class_scores(cases: Sequence[tuple[Case, frozenset[int]]], plan: RoundPlan, teachers: Teachers) -> dict[int, float]:
    """The teachers' Dice with the experts over all cases together, class by class."""
    found = []
    for case, vouched in cases:
        if case.label is not None:
            claims = read_case(case, plan.work, teachers, plan.soft).claims
            found.append(overlaps(Expert(read_labels(case.label).array, vouched), claims, teachers.classes))
    return class_dice(found)


def _case_row(case: Case, vouched: frozenset[int], trusted: frozenset[int], plan: RoundPlan, teachers: Teachers) -> dict[str, Any]:
    """The case's row of the report; its merged labels lie in the work folder."""
    reading, grid = read_case(case, plan.work, teachers, plan.soft), NiftiReader(case.image).grid
    expert = Expert(read_labels(case.label).array, vouched) if case.label else Expert.silent(reading.labels.shape)
    tumour = reading.tumour if TUMOUR in trusted else None
    doubt = reading.doubt | is_one_of(reading.labels, teachers.organs.classes - trusted - {TUMOUR})
    merged = Volume(merge_labels(expert, reading.labels, tumour, doubt), grid)
    agreements = {"expert": agreement(reading.claims, expert.labels, vouched & trusted)}
    if plan.before is not None and (last := plan.before / "labelsTr" / f"{case.name}{ENDING}").exists():
        agreements["the round before"] = agreement(merged.array, read_labels(last).array, trusted)
    write_labels(plan.work / f"{case.name}{ENDING}", merged)
    return asdict(judge(merged, agreements, plan.limits)) | {"vouched": vouched_after(expert, trusted)}
