"""How far two label maps of one scan agree, organ by organ; organs are matched by name, whatever their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flare_trt.engine.base.errors import InputError
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
    pairs = np.bincount(labels.array.ravel().astype(np.uint16) * 256 + other.array.ravel(), minlength=1 << 16).reshape(256, 256)
    mine, theirs = pairs.sum(axis=1), pairs.sum(axis=0)
    found = []
    for name in common:
        value, its = values[name], others[name]
        together = int(mine[value] + theirs[its])
        dsc = round(2 * int(pairs[value, its]) / together, 5) if together else None
        ml = labels.grid.voxel_ml
        found.append(OrganAgreement(name, round(int(mine[value]) * ml, 3), round(int(theirs[its]) * ml, 3), dsc))
    return tuple(found)
