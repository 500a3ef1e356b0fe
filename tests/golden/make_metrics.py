"""Makes metrics.json: DSC and surface Dice of phantom masks by DeepMind's surface-distance and by MONAI.

Run in the checkout: PYTHONPATH=.:build/typing python tests/golden/make_metrics.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.phantoms import blob

#: (seed, shape_zyx, spacing_zyx_mm, tolerance_mm); exact ties of distance and tolerance among them.
CASES = (
    (1, (13, 17, 23), (2.5, 0.8, 0.8), 2.0),
    (2, (11, 24, 19), (1.0, 1.0, 1.0), 3.0),
    (3, (7, 31, 29), (5.0, 0.75, 0.7), 5.0),
    (4, (19, 12, 16), (0.5, 1.5, 2.5), 7.0),
    (5, (1, 21, 18), (3.0, 1.0, 1.25), 2.0),
    (6, (21, 23, 9), (0.9, 0.6, 4.0), 3.0),
)


def measure(seed: int, shape: tuple[int, int, int], spacing: tuple[float, float, float], tolerance: float) -> dict[str, Any]:
    """The peers' values for one pair of masks. surface-distance is asked in file order, (x, y, z), as FLARE asks it."""
    import torch
    from monai.metrics import DiceMetric
    from surface_distance import metrics

    reference, prediction = blob(seed, shape), blob(seed + 50, shape)
    distances = metrics.compute_surface_distances(reference.T, prediction.T, spacing[::-1])
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference)]
    return {
        "seed": seed,
        "shape_zyx": shape,
        "spacing_mm": spacing,
        "tolerance_mm": tolerance,
        "nsd": float(metrics.compute_surface_dice_at_tolerance(distances, tolerance)),
        "dsc": float(metrics.compute_dice_coefficient(reference, prediction)),
        "dsc_monai": float(DiceMetric()(*tensors).item()),
    }


if __name__ == "__main__":
    made_with = {name: version(name) for name in ("surface-distance", "monai", "scipy", "numpy")}
    document = {"made_with": made_with, "cases": [measure(*case) for case in CASES]}
    (Path(__file__).parent / "metrics.json").write_text(json.dumps(document, indent=1) + "\n")
