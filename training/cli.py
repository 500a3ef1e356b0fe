"""`flare-trt train`: the table of its steps. Their modules are light: torch and nnunetv2 load when a step runs."""

from __future__ import annotations

import argparse
from importlib import import_module

#: Step -> (module with `configure` and `run`, one-line help).
STEPS = {
    "prepare": ("flare_trt.training.prepare.command", "a FLARE download becomes nnU-Net raw datasets and a datasheet"),
    "pseudo-label": ("flare_trt.training.pseudo.command", "a teacher completes partial labels; doubtful voxels are ignored"),
    "plan": ("flare_trt.training.fit.plan_command", "plans at the paper's spacings, and nnU-Net's preprocessing"),
    "fit": ("flare_trt.training.fit.train_command", "train the coarse or the fine network with nnunetv2"),
    "finetune": ("flare_trt.training.fit.finetune_command", "fine-tune on all pseudo-labels at learning rate 1e-4"),
    "reproduce": ("flare_trt.training.reproduce.command", "the paper's tables 5 and 6 in miniature, on phantoms and real CTs"),
    "distil": ("flare_trt.training.distil.command", "distil a teacher network into a small student (the default weights)"),
    "tumours": ("flare_trt.training.tumours.command", "learn organs and tumours from lesions planted in unlabelled CTs"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add one sub-command a step."""
    steps = parser.add_subparsers(dest="train_step", required=True, metavar="STEP")
    for name, (module, text) in STEPS.items():
        import_module(module).configure(steps.add_parser(name, help=text, description=text))


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen step."""
    result: int = import_module(STEPS[arguments.train_step][0]).run(arguments)
    return result
