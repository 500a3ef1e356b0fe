"""`flare-trt train pseudo-label`: one round of pseudo-labels from a bundle or an nnU-Net folder."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from flare_trt.engine.base.errors import InputError

if TYPE_CHECKING:
    from flare_trt.training.pseudo.teachers import Teacher


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dataset", type=Path, help="prepared fine dataset (Dataset501_FLAREFine)")
    parser.add_argument("--out-id", type=int, required=True, help="id of the new fine dataset; the coarse one takes the next")
    parser.add_argument("--teacher", type=Path, required=True, help="bundle, or trained nnU-Net folder (with plans.json)")
    parser.add_argument("--tumour-teacher", type=Path, help="model that marks tumour; may be the teacher itself")
    parser.add_argument("--before", type=Path, help="fine dataset of the round before, as a second opinion")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N")
    parser.add_argument("--margin", type=float, default=0.2, help="doubt below this margin of the two likeliest classes")
    parser.add_argument("--entropy", type=float, default=0.5, help="doubt above this entropy (1 = even odds)")
    parser.add_argument("--mirrored", action="store_true", help="doubt where mirrored scans disagree (bundles trained so)")
    parser.add_argument("--least-dice", type=float, default=0.7, help="agreement with experts that a class and a case need")
    parser.add_argument("--most-pieces", type=int, default=3, help="pieces that an organ may lie in (%(default)s)")
    parser.add_argument("--most-ignored", type=float, default=0.5, help="ignored voxels for each labelled one (%(default)s)")
    parser.add_argument("--soft", action="store_true", help="keep the teacher's probabilities beside the labels")
    parser.add_argument("--pictures", type=int, default=8, help="worst cases to draw")


def run(arguments: argparse.Namespace) -> int:
    """Run one round."""
    from flare_trt.training.prepare.raw_dataset import DatasetNames
    from flare_trt.training.pseudo.gates import GateLimits
    from flare_trt.training.pseudo.readings import SOFT
    from flare_trt.training.pseudo.report import write_report
    from flare_trt.training.pseudo.round import RoundPlan, run_round
    from flare_trt.training.pseudo.teachers import Teachers

    organs = _teacher(arguments.teacher, arguments)
    tumour = organs if arguments.tumour_teacher == arguments.teacher else None
    if arguments.tumour_teacher is not None and tumour is None:
        tumour = _teacher(arguments.tumour_teacher, arguments)
    plan = RoundPlan(
        source=arguments.dataset,
        raw=arguments.dataset.resolve().parent,
        names=DatasetNames(arguments.out_id),
        limits=GateLimits(arguments.least_dice, arguments.most_ignored, arguments.most_pieces),
        before=arguments.before,
        soft=arguments.soft,
    )
    report = run_round(plan, Teachers(organs, tumour))
    dataset = plan.raw / plan.names.fine
    write_report(report, dataset, plan.work, arguments.pictures)
    if arguments.soft:
        shutil.move(plan.work / SOFT, dataset / "softTr")
    shutil.rmtree(plan.work)
    return 0


def _teacher(path: Path, arguments: argparse.Namespace) -> Teacher:
    from flare_trt.engine.model.options import RunOptions
    from flare_trt.training.pseudo.doubt import DoubtLimits
    from flare_trt.training.pseudo.teachers import BundleTeacher, NnUNetTeacher

    limits = DoubtLimits(arguments.margin, arguments.entropy)
    if (path / "plans.json").exists():
        if arguments.mirrored:
            raise InputError(f"{path}: --mirrored compares the flips of a bundle; export the folder first, or leave it out")
        folds = tuple(int(f.name[5:]) if f.name[5:].isdigit() else f.name[5:] for f in sorted(path.glob("fold_*")))
        return NnUNetTeacher(path, folds, limits, "cpu" if arguments.device == "auto" else arguments.device)
    return BundleTeacher(path, limits, RunOptions(device=arguments.device), arguments.mirrored)
