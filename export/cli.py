"""flare-trt export: nnU-Net v2 folders or ONNX files to a bundle, a bundle to a repository for Triton."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.spec import ModelSpec

_FOLDS = re.compile(r"all|\d+(,\d+)*")
_ORIENTATION = re.compile(r"as-stored|[SI][PA][LR]|[SI][LR][PA]|[PA][SI][LR]|[PA][LR][SI]|[LR][SI][PA]|[LR][PA][SI]")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of source, and what is made of a bundle."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    nnunet = kinds.add_parser("nnunet", help="a trained nnU-Net v2 model folder, or two")
    nnunet.add_argument("folder", type=Path, nargs="?", help="model folder of a single-stage bundle, with plans.json and fold_N")
    nnunet.add_argument("--coarse", type=Path, metavar="FOLDER", help="model folder that finds the abdomen; needs --fine")
    nnunet.add_argument("--fine", type=Path, metavar="FOLDER", help="model folder that segments it; needs --coarse")
    nnunet.add_argument(
        "--folds", type=_folds, default=(), help="folds to average, such as 0,1 or all (numbered ones, else fold_all)"
    )
    nnunet.add_argument("--checkpoint", choices=("final", "best"), default="final", help="which checkpoint (%(default)s)")
    nnunet.add_argument(
        "--orientation",
        type=_orientation,
        help="(z, y, x) orientation of the training arrays, such as SPL; as-stored never turns scans (the image reader's)",
    )
    nnunet.add_argument(
        "--network-from",
        choices=("trainer", "plans"),
        default="trainer",
        help="what describes the network: the trainer's class, or plans.json by your word (%(default)s)",
    )
    nnunet.add_argument(
        "--postprocessing", type=Path, metavar="FILE", help="nnU-Net's postprocessing.json: the pieces that it removes go"
    )
    nnunet.add_argument("--name", help="name of the bundle (the dataset's)")
    nnunet.add_argument("--licence", default="not stated", help="licence of the weights (%(default)s)")
    bare = kinds.add_parser("onnx", help="ONNX files and a description of them")
    bare.add_argument("networks", type=Path, nargs="+", metavar="NET.onnx", help="the files that SPEC.json names")
    bare.add_argument("--spec", type=Path, required=True, metavar="SPEC.json", help="a bundle.json without checksums")
    triton = kinds.add_parser("triton", help="a bundle as a model repository for NVIDIA Triton")
    triton.add_argument("bundle", type=Path, metavar="BUNDLE", help="a model bundle: a folder or a .zip")
    triton.add_argument("-o", "--output", type=Path, required=True, metavar="REPO", help="folder to write, new or empty")
    for kind in (nnunet, bare):
        kind.add_argument(
            "--check",
            choices=("quick", "full"),
            default="full",
            help="compare two images on every CPU backend, or one on the default backend (%(default)s)",
        )
        kind.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE", help="folder, or file in .zip, to write")


def run(arguments: argparse.Namespace) -> int:
    """Export, and say what was measured on a bundle."""
    if arguments.kind == "triton":
        _triton(arguments)
    else:
        spec = _nnunet(arguments) if arguments.kind == "nnunet" else _onnx(arguments)
        for check in spec.provenance.checks:
            print(f"{check.name}: {check.measured:.2g} (limit {check.limit:g})")
        for bar in spec.barred:
            print(f"barred: {bar.backend}: {bar.reason}")
    print(f"wrote {arguments.output}")
    return 0


def _nnunet(arguments: argparse.Namespace) -> ModelSpec:
    from flare_trt.export.nnunet import About, TrainedModel, export_nnunet

    two = arguments.coarse is not None and arguments.fine is not None
    if two == (arguments.folder is not None) or (arguments.coarse is None) != (arguments.fine is None):
        raise ExportError("export nnunet: give either one model folder, or --coarse FOLDER with --fine FOLDER")

    def model(folder: Path) -> TrainedModel:
        plans_only = arguments.network_from == "plans"
        return TrainedModel(folder, arguments.folds, arguments.checkpoint, arguments.orientation, plans_only)

    coarse = model(arguments.coarse) if two else None
    fine = model(arguments.fine if two else arguments.folder)
    about = About(arguments.licence, arguments.name, arguments.postprocessing)
    return export_nnunet(fine, coarse, about, arguments.output, _tell, arguments.check)


def _onnx(arguments: argparse.Namespace) -> ModelSpec:
    from flare_trt.export.bare_onnx import export_onnx
    from flare_trt.export.verify import CheckPlan

    return export_onnx(arguments.networks, arguments.spec, arguments.output, CheckPlan(arguments.check, _tell))


def _triton(arguments: argparse.Namespace) -> None:
    from flare_trt.export.triton_repository import export_triton

    export_triton(arguments.bundle, arguments.output)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _folds(text: str) -> tuple[str, ...]:
    if not _FOLDS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected numbers such as 0,1 or the word all")
    return tuple(text.split(","))


def _orientation(text: str) -> str:
    if not _ORIENTATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected as-stored or one letter of each pair SI, PA, LR, such as SPL")
    return text
