"""Which cases train and which validate: 80 to 20 by case (paper, section 3.2), the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

TRAIN_SHARE = 0.8


def split_cases(names: Iterable[str], train_share: float = TRAIN_SHARE) -> dict[str, list[str]]:
    """{"train": [...], "val": [...]}, sorted. The order is that of the names' hashes, so that a case which joins later moves
    few others; each side gets at least one case where there are two."""
    ordered = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = round(len(ordered) * train_share)
    if len(ordered) > 1:
        count = min(max(count, 1), len(ordered) - 1)
    return {"train": sorted(ordered[:count]), "val": sorted(ordered[count:])}
