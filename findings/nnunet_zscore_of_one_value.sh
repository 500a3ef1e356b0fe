#!/usr/bin/env bash
# A channel of one value carries nothing: a sequence that was not acquired is stored as all one number. nnU-Net 2.8.1 divides what a
# z-score leaves by max(std, 1e-8), so that such a channel becomes 0.
#
# Expected: 0 everywhere, whatever the value. Real: 0 for values whose float32 sums are exact (whole numbers of a scan's size), and 1 (or
# another number) everywhere for 300.7: numpy's float32 mean misses the value by a rounding, and the standard deviation is that miss.
# Why it matters here: exported networks give the labels that nnU-Net gives, so engine/passes/normalised.py sums a channel of one value as
# numpy does, and any other in float64. Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6
env/bin/pip install --quiet --disable-pip-version-check --no-deps nnunetv2==2.8.1 # its normalisation needs numpy alone
cat >zscore.py <<'PY'
import importlib.util
import pathlib
import sys

import numpy as np

folder = pathlib.Path(importlib.util.find_spec("nnunetv2").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("schemes", folder / "preprocessing/normalization/default_normalization_schemes.py")
schemes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(schemes)
normalise = schemes.ZScoreNormalization(use_mask_for_norm=False, intensityproperties={}).run
found = {value: set(np.unique(normalise(np.full((57, 130, 131), value, np.float32)))) for value in (0.0, 117.0, -1000.0, 300.7, 0.1)}
for value, results in found.items():
    print(f"a channel of {value:g} becomes {', '.join(f'{result:g}' for result in sorted(results))}; expected 0")
exact = all(found[value] == {0.0} for value in (0.0, 117.0, -1000.0))
sys.exit(0 if exact and found[300.7] != {0.0} else 1)
PY
env/bin/python zscore.py
