"""flare-trt export: nnU-Net v2 folders or ONNX files to a bundle, a bundle to a repository for Triton."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.spec import Check, ModelSpec

if TYPE_CHECKING:
    from flare_trt.export.nnunet import About, TrainedModel

_FOLDS = re.compile(r"all|\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")
_CHECKPOINT = re.compile(r"(?:checkpoint_)?(final|best|latest)(?:\.pth)?")
_ORIENTATION = re.compile(r"as-stored|[SI][PA][LR]|[SI][LR][PA]|[PA][SI][LR]|[PA][LR][SI]|[LR][SI][PA]|[LR][PA][SI]")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of source, and what is made of a bundle."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    nnunet = kinds.add_parser("nnunet", help="a trained nnU-Net v2 model folder, or two")
    _configure_nnunet(nnunet)
    bare = kinds.add_parser("onnx", help="ONNX files and a description of them")
    bare.add_argument("networks", type=Path, nargs="+", metavar="NET.onnx", help="the files that SPEC.json names")
    bare.add_argument("--spec", type=Path, required=True, metavar="SPEC.json", help="a bundle.json without checksums")
    triton = kinds.add_parser("triton", help="a bundle as a model repository for NVIDIA Triton")
    triton.add_argument("bundle", type=Path, metavar="BUNDLE", help="a model bundle: a folder or a .zip")
    triton.add_argument("-o", "--output", type=Path, required=True, metavar="REPO", help="folder to write, new or empty")
    for kind in (nnunet, bare):
        kind.add_argument(
            "--calibrate",
            type=Path,
            metavar="FOLDER",
            help="also make int8 networks for mode fast, on the CTs of this folder; kept where every class keeps its labels",
        )
        kind.add_argument(
            "--check",
            choices=("quick", "full"),
            default="full",
            help="compare two images on every CPU backend, or one on the default backend (%(default)s)",
        )
        kind.add_argument(
            "-o", "--output", type=Path, required=kind is bare, metavar="BUNDLE", help="folder, or file in .zip, to write"
        )


def _configure_nnunet(nnunet: argparse.ArgumentParser) -> None:
    nnunet.add_argument(
        "folder", type=Path, nargs="?", help="model folder (plans.json, fold_N) or nnU-Net's model .zip, for one stage"
    )
    nnunet.add_argument("--coarse", type=Path, metavar="FOLDER", help="model folder that finds the abdomen; needs --fine")
    nnunet.add_argument("--fine", type=Path, metavar="FOLDER", help="model folder that segments it; needs --coarse")
    nnunet.add_argument(
        "--folds", type=_folds, nargs="+", default=[], help="folds to average: 0 1 2, 0-4, or all (numbered ones, else fold_all)"
    )
    nnunet.add_argument(
        "--checkpoint", type=_checkpoint, default="final", help="final, best or latest, or its checkpoint_*.pth (%(default)s)"
    )
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
        "--postprocessing",
        type=Path,
        metavar="FILE",
        help="nnU-Net's postprocessing.json, in the zip too: what it removes goes",
    )
    nnunet.add_argument(
        "--dry-run", action="store_true", help="only list everything that stands in the way; exit code 1 where anything does"
    )
    nnunet.add_argument("--name", help="name of the bundle (the dataset's)")
    nnunet.add_argument("--licence", default="not stated", help="licence of the weights (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Export, and say what was measured on a bundle."""
    if arguments.kind == "nnunet" and arguments.dry_run:
        return _dry_run(arguments)
    if arguments.kind == "triton":
        _triton(arguments)
    else:
        spec = _nnunet(arguments) if arguments.kind == "nnunet" else _onnx(arguments)
        for line in summaries(spec.provenance.checks):
            print(line)
        for line in spec.provenance.int8:
            print(line)
        for bar in spec.barred:
            print(f"barred: {bar.backend}: {bar.reason}")
    print(f"wrote {arguments.output}")
    return 0


def _nnunet(arguments: argparse.Namespace) -> ModelSpec:
    from flare_trt.export.nnunet import export_nnunet

    if arguments.output is None:
        raise ExportError("export nnunet: got no -o, expected -o BUNDLE, or --dry-run")
    return export_nnunet(*_models(arguments), arguments.output, _tell, arguments.check)


def _dry_run(arguments: argparse.Namespace) -> int:
    """Says all that stands in the way. Returns 1 where anything does."""
    from flare_trt.export.dry_run import obstacles

    found = obstacles(*_models(arguments), arguments.output)
    for line in found:
        print(line)
    print(f"{len(found) or 'nothing'} in the way; nothing was written" + ("" if found else ", the logits were not compared"))
    return 1 if found else 0


def _models(arguments: argparse.Namespace) -> tuple[TrainedModel, TrainedModel | None, About]:
    """The fine model, the coarse one if any, and what the user says about the bundle. Raises ExportError."""
    from flare_trt.export.nnunet import About, TrainedModel

    two = arguments.coarse is not None and arguments.fine is not None
    if two == (arguments.folder is not None) or (arguments.coarse is None) != (arguments.fine is None):
        raise ExportError("export nnunet: give either one model folder, or --coarse FOLDER with --fine FOLDER")

    folds = tuple(fold for part in arguments.folds for fold in part)
    if len(set(folds)) < len(folds) or ("all" in folds and len(folds) > 1):
        raise ExportError(f"export nnunet: --folds: got {' '.join(folds)}, expected each number once, or the word all alone")

    def model(folder: Path) -> TrainedModel:
        plans_only = arguments.network_from == "plans"
        return TrainedModel(folder, folds, arguments.checkpoint, arguments.orientation, plans_only)

    coarse = model(arguments.coarse) if two else None
    fine = model(arguments.fine if two else arguments.folder)
    return fine, coarse, About(arguments.licence, arguments.name, arguments.postprocessing, arguments.calibrate)


def summaries(checks: Sequence[Check]) -> list[str]:
    """One line a network file, so a fold: the worst of its images and backends, each kind of check with its limit."""
    worst: dict[str, dict[str, Check]] = {}
    for check in checks:
        about, _, kind = check.name.rpartition(": ")
        kinds = worst.setdefault(about.partition(",")[0], {})
        if kind not in kinds or check.measured / check.limit > kinds[kind].measured / kinds[kind].limit:
            kinds[kind] = check
    return [
        f"{file}: {', '.join(f'{kind} {check.measured:.2g} (limit {check.limit:g})' for kind, check in kinds.items())}"
        for file, kinds in worst.items()
    ]


def _onnx(arguments: argparse.Namespace) -> ModelSpec:
    from flare_trt.export.bare_onnx import export_onnx
    from flare_trt.export.verify import CheckPlan

    return export_onnx(arguments.networks, arguments.spec, arguments.output, CheckPlan(arguments.check, _tell), arguments.calibrate)


def _triton(arguments: argparse.Namespace) -> None:
    from flare_trt.export.triton_repository import export_triton

    export_triton(arguments.bundle, arguments.output)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _folds(text: str) -> tuple[str, ...]:
    if not _FOLDS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected numbers such as 0 1 2 or 0-4, or the word all")
    folds: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise argparse.ArgumentTypeError(f"got {part!r}, expected the lower fold first")
        folds += [str(fold) for fold in range(int(first), int(last) + 1)] if last else [first]
    return tuple(folds)


def _checkpoint(text: str) -> str:
    if not (match := _CHECKPOINT.fullmatch(text)):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected final, best or latest, or a name such as checkpoint_latest.pth")
    return match[1]


def _orientation(text: str) -> str:
    if not _ORIENTATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected as-stored or one letter of each pair SI, PA, LR, such as SPL")
    return text
