"""`flare-trt train prepare`: a FLARE download becomes two nnU-Net raw datasets and a datasheet."""

from __future__ import annotations

import argparse
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.training.nnunet_folders import add_nnunet_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("flare_dir", type=Path, help="folder with images*/ and labels*/ of .nii.gz or .nii files")
    add_nnunet_folder(parser, "--out", "raw")
    parser.add_argument("--dataset-id", type=int, default=501, help="id of the fine dataset; the coarse one takes the next")


def run(arguments: argparse.Namespace) -> int:
    """Prepare a FLARE folder."""
    from flare_trt.engine.base.files import write_json, write_text
    from flare_trt.training.prepare.cases import find_cases
    from flare_trt.training.prepare.datasheet import datasheet, markdown
    from flare_trt.training.prepare.inspect_case import inspect_case
    from flare_trt.training.prepare.raw_dataset import DatasetNames, LabelledCase, write_datasets

    cases = {case.name: case for case in find_cases(arguments.flare_dir)}
    facts = [inspect_case(case) for case in cases.values()]
    labelled = [
        LabelledCase(fact.name, cases[fact.name].image, label, fact.vouched)
        for fact in facts
        if fact.usable and fact.vouched and (label := cases[fact.name].label) is not None
    ]
    if not labelled:
        raise InputError(f"{arguments.flare_dir}: no usable labelled case among {len(cases)}; see the problems in each file")
    unlabelled = [cases[fact.name] for fact in facts if fact.usable and cases[fact.name].label is None]
    names = DatasetNames(arguments.dataset_id)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_datasets(labelled, unlabelled, arguments.out, names)
    sheet = datasheet(facts)
    write_json(arguments.out / names.fine / "datasheet.json", sheet)
    write_text(arguments.out / names.fine / "datasheet.md", markdown(sheet))
    return 0
