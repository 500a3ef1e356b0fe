"""The files of a scan of several channels, as nnU-Net names them: case_0000.nii.gz, case_0001.nii.gz and so on.

Source: nnunetv2/utilities/utils.py, create_lists_from_splitted_dataset_folder; dataset.json numbers the channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.spec import ModelSpec

#: A channel's number, and the ending behind it.
_NUMBER = re.compile(r"_(\d{4})(?=\.[^/]*$)")


def first_channels(scans: Sequence[Path], channels: Sequence[str]) -> list[Path]:
    """The scans' first files; all where there is one channel. Raises InputError for a file that has no channel's number."""
    if len(channels) == 1:
        return list(scans)
    for path in scans:
        if _number(path) is None:
            raise InputError(
                f"{path}: got a name without a channel's number, expected one of each channel ({', '.join(channels)}); "
                "call the files case_0000.nii.gz, case_0001.nii.gz and so on, or name each with --channel NAME=FILE"
            )
    return list(dict.fromkeys(_numbered(path, 0) for path in scans))


def require_one_channel(spec: ModelSpec, command: str) -> None:
    """For a command whose scans are one file or one series each. Raises InputError for a model of several channels."""
    if len(spec.input_names) > 1:
        raise InputError(
            f"{command}: the model {spec.name} takes the channels {', '.join(spec.input_names)}, expected one of a single channel; "
            "segment its scans with 'flare-trt segment'"
        )


def further_channels(first: Path, channels: Sequence[str]) -> tuple[Path, ...]:
    """The other files of a scan. Raises InputError where one is not there."""
    files = tuple(_numbered(first, number) for number in range(1, len(channels)))
    for name, path in zip(channels, (first, *files), strict=True):
        if len(channels) > 1 and not path.is_file():
            raise InputError(f"{path}: there is no such file, expected the channel {name} of this case")
    return files


def named_channels(given: Sequence[str], channels: Sequence[str]) -> tuple[Path, ...]:
    """Files by their channels' names, NAME=FILE each, in the model's order. Raises InputError unless each is named once."""
    files: dict[str, Path] = {}
    known = {name.casefold(): name for name in channels}
    for text in given:
        name, _, file = text.partition("=")
        channel = known.get(name.casefold())
        if channel is None or not file or channel in files:
            wrong = "named twice" if channel in files else f"expected NAME=FILE with a NAME out of {', '.join(channels)}"
            raise InputError(f"--channel {text}: {wrong}")
        files[channel] = Path(file)
    missing = [name for name in channels if name not in files]
    if missing:
        raise InputError(f"--channel: got {', '.join(files) or 'none'}, expected {', '.join(missing)} too; name a file for each")
    return tuple(files[name] for name in channels)


def _number(path: Path) -> int | None:
    found = _NUMBER.search(path.name)
    return None if found is None else int(found[1])


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(_NUMBER.sub(f"_{number:04d}", path.name, count=1))
