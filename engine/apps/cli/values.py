"""Values of the command line: argparse types, each with a word on what was expected, and the run's options made of them."""

from __future__ import annotations

import argparse
import re

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.units import MB, MIB
from flare_trt.engine.model.modes import MODES
from flare_trt.engine.model.options import RunOptions

#: How the help calls a scan that is one file.
SCAN_FILE = "a .nii.gz, .nii, .nrrd or .mha file"
TILT_HELP = "resample a DICOM series of a tilted gantry onto an upright grid (otherwise it is refused)"
_BYTES = {"MB": MB, "GB": 1000 * MB, "MIB": MIB, "GIB": 1024 * MIB}


def memory_mb(text: str) -> int:
    """A size with its unit as whole MB.

    >>> memory_mb("1500MB"), memory_mb("2.5 GB")
    (1500, 2500)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB|MIB|GIB)", text.strip().upper())
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a size such as 1500MB or 4GB")
    return max(1, round(float(match[1]) * _BYTES[match[2]] / MB))


def device(text: str) -> str:
    """auto, cpu or cuda:N."""
    if not re.fullmatch(r"auto|cpu|cuda:\d+", text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected auto, cpu or cuda:N")
    return text


def threads(text: str) -> int:
    """A number of threads; 0 is all cores."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of threads (0: all cores)")
    return int(text)


def share(text: str) -> float:
    """A share of a whole, more than 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a share such as 0.5: more than 0, at most 1")
    return value


def triple(text: str) -> tuple[float, float, float]:
    """Three positive numbers.

    >>> triple("100,512,512")
    (100.0, 512.0, 512.0)
    """
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        z = y = x = 0.0
    if not 0 < min(z, y, x) <= max(z, y, x) < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected three positive numbers such as 2.5,0.8,0.8")
    return z, y, x


def port(text: str) -> int:
    """A TCP port; 0 takes any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port from 0 to 65535")
    return int(text)


def seconds(text: str) -> float:
    """A time that is not negative."""
    if re.fullmatch(r"\d+(\.\d+)?", text) is None:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number such as 10 or 0.5")
    return float(text)


def series_rules(text: str) -> tuple[str, ...]:
    """Rules that choose a series."""
    from flare_trt.engine.scans.dicom.rules import parse_rules

    try:
        return parse_rules(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("--pick: ")) from error


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add one argument a field of RunOptions."""
    modes = "; ".join(f"{name}: {settings.about.replace('%', '%%')}" for name, settings in MODES.items())
    parser.add_argument("--mode", choices=tuple(MODES), default="exact", help=modes)
    parser.add_argument("--device", type=device, default="auto", metavar="auto|cpu|cuda:N", help="default: auto")
    parser.add_argument(
        "--backend", help="openvino, onnxruntime, native, tensorrt, onnxruntime-tensorrt; default: the model's best"
    )
    parser.add_argument(
        "--max-memory", type=memory_mb, metavar="SIZE", help="memory above the idle process, e.g. 1500MB; scans then run one by one"
    )
    parser.add_argument(
        "--threads",
        type=threads,
        default=0,
        metavar="N",
        help="CPU threads; default: all cores; 1: segment and pacs do one step at a time",
    )
    parser.add_argument(
        "--step-size", type=share, metavar="S", help="tiles start S patches apart, 0 < S <= 1; default: the bundle's"
    )
    parser.add_argument("--mirror", action="store_true", help="average over mirrored inputs (up to 8 times the work)")


def run_options(arguments: argparse.Namespace) -> RunOptions:
    """The options that `add_run_options` parsed."""
    return RunOptions(
        mode=arguments.mode,
        device=arguments.device,
        backend=arguments.backend,
        max_memory_mb=arguments.max_memory,
        mirror=arguments.mirror,
        threads=arguments.threads,
        tile_step=arguments.step_size,
    )
