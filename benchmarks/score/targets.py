"""What is scored: FLARE's structures, or the labels and regions of a dataset.json, a bundle or a table of names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.label_types import MOST_LABEL
from flare_trt.engine.base.organs import STRUCTURES, known
from flare_trt.engine.model.bundle import open_bundle

_EXPECTED = "expected a bundle, a dataset.json or a JSON file of {value: name}"


@dataclass(frozen=True)
class Target:
    """A label, or a region of several `values`. `tolerance_mm` None: the NSD is not measured. `short` names its columns in CSV.

    `tubular` and `lesion` are as in `Structure`, and False where nobody knows.
    """

    name: str
    short: str
    values: tuple[int, ...]
    tolerance_mm: float | None
    tubular: bool = False
    lesion: bool = False


@dataclass(frozen=True)
class LabelSet:
    """What is scored together. Voxels whose reference is `ignore` count for nothing. `official`: FLARE's rules are made for it."""

    name: str
    targets: tuple[Target, ...]
    ignore: int | None = None
    official: bool = False


_FLARE = tuple(Target(s.name, s.short, (s.value,), s.tolerance_mm, s.tubular, s.lesion) for s in STRUCTURES)
#: FLARE22 and FLARE24 task 2 score the 13 organs alone, FLARE23 the lesions too.
LABEL_SETS = {
    "flare22": LabelSet("flare22", _FLARE[:-1], official=True),
    "flare23": LabelSet("flare23", _FLARE, official=True),
}


def label_set(given: str) -> LabelSet:
    """One of LABEL_SETS by name, or the labels of a file or bundle. A name that FLARE has gets its tolerance, no other gets one.

    Raises InputError for a file that names no labels, BundleError for a broken bundle.
    """
    if given in LABEL_SETS:
        return LABEL_SETS[given]
    path = Path(given)
    if not path.exists():
        raise InputError(
            f"--labels: got {given!r}, expected {', '.join(LABEL_SETS)} or a file: {_EXPECTED.removeprefix('expected ')}"
        )
    if path.suffix.lower() != ".json":
        with open_bundle(path) as bundle:
            return LabelSet(given, tuple(_target(name, (value,)) for value, name in sorted(bundle.spec.label_names.items())))
    return _from_table(given, _table(path))


def with_tolerances(labels: LabelSet, given: Mapping[str, float]) -> LabelSet:
    """The labels with tolerances by name in mm; the empty name stands for all that are not named. Raises InputError."""
    if unknown := sorted(given.keys() - {"", *(target.name for target in labels.targets)}):
        names = ", ".join(target.name for target in labels.targets)
        raise InputError(f"--tolerance: got the names {', '.join(unknown)}, expected names out of {names}")
    targets = [replace(one, tolerance_mm=given.get(one.name, given.get("", one.tolerance_mm))) for one in labels.targets]
    return replace(labels, targets=tuple(targets))


def _target(name: str, values: tuple[int, ...]) -> Target:
    found = known(name)
    return Target(name, name.replace(" ", "_"), values, found.tolerance_mm if found else None)


def _table(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({type(error).__name__}), {_EXPECTED}") from error
    table = content.get("labels", content) if isinstance(content, dict) else None
    if not isinstance(table, dict):
        raise InputError(f"{path}: got no table of labels, {_EXPECTED}; a bundle is named by its folder")
    return table


def _from_table(given: str, table: Mapping[str, Any]) -> LabelSet:
    """nnU-Net's labels and regions {name: value or values}, or {value: name}; the background and "ignore" are no targets."""
    named = [
        (value, [int(key)]) if key.isdecimal() else (key, value if isinstance(value, list) else [value])
        for key, value in table.items()
    ]
    targets, ignore = [], None
    for name, values in named:
        if not isinstance(name, str) or not values or not all(type(one) is int and 0 <= one <= MOST_LABEL for one in values):
            raise InputError(
                f"{given}: got the label {name!r:.60} with {values!r:.60}, expected a name and values from 0 to {MOST_LABEL}"
            )
        if name == "ignore":
            ignore = values[0]
        elif set(values) != {0}:
            targets.append(_target(name, tuple(sorted(set(values)))))
    if not targets or len({target.values for target in targets}) < len(targets) or len({t.name for t in targets}) < len(targets):
        raise InputError(f"{given}: got {len(targets)} labels, expected at least one, each name and value once")
    return LabelSet(given, tuple(targets), ignore)
