"""How far two label maps of one scan agree, organ by organ; organs are matched by name, whatever their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.organs import canonical
from flare_trt.engine.base.volume import Volume


@dataclass(frozen=True)
class OrganAgreement:
    """One organ, by its canonical name. `dsc` None: neither map has it. `other_ml` is the second map's volume."""

    name: str
    ml: float
    other_ml: float
    dsc: float | None


def organ_agreement(
    labels: Volume, names: Mapping[int, str], other: Volume, other_names: Mapping[int, str]
) -> tuple[OrganAgreement, ...]:
    """The Dice coefficient of each organ that both sources name, in the first one's order.

    Raises InputError where the maps differ in shape, or have no organ's name in common.
    """
    if labels.array.shape != other.array.shape:
        raise InputError(f"agreement: got label maps of shape {labels.array.shape} and {other.array.shape}, expected one grid")
    values = {canonical(name): value for value, name in names.items()}
    others = {canonical(name): value for value, name in other_names.items()}
    common = [name for name in values if name in others]
    if not common:
        raise InputError(
            f"agreement: no organ has the same name in both sources: {', '.join(values)} and {', '.join(others)}; name the labels"
        )
    size = len(common) + 1
    rows, columns = _numbered(labels, [values[name] for name in common]), _numbered(other, [others[name] for name in common])
    pairs = np.bincount(rows.ravel() * size + columns.ravel(), minlength=size**2).reshape(size, size)
    mine, theirs = pairs.sum(axis=1), pairs.sum(axis=0)
    found = []
    for number, name in enumerate(common, start=1):
        together = int(mine[number] + theirs[number])
        dsc = round(2 * int(pairs[number, number]) / together, 5) if together else None
        ml = labels.grid.voxel_ml
        found.append(OrganAgreement(name, round(int(mine[number]) * ml, 3), round(int(theirs[number]) * ml, 3), dsc))
    return tuple(found)


def _numbered(labels: Volume, values: Sequence[int]) -> NDArray[np.uint32]:
    """The label map with each of these values as its number from 1 up, and 0 for all others."""
    table = np.zeros(value_count(labels.array.dtype), np.uint32)
    known = [value for value in values if value < len(table)]
    table[known] = [values.index(value) + 1 for value in known]
    numbered: NDArray[np.uint32] = table[labels.array]
    return numbered
