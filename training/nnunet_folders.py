"""nnU-Net's three folders on the command line: an option each, or the environment variable that nnU-Net itself reads."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Literal

Part = Literal["raw", "preprocessed", "results"]


def add_nnunet_folder(parser: argparse.ArgumentParser, option: str, part: Part) -> None:
    """Add an option that names one of the folders; where it is left out, its variable (nnUNet_raw and so on) does, if it is set."""
    variable = f"nnUNet_{part}"
    given = os.environ.get(variable)
    parser.add_argument(
        option,
        type=Path,
        default=Path(given) if given else None,
        required=not given,
        help=f"nnU-Net's {part} folder; default: the environment's {variable}",
    )
