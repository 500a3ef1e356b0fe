#!/usr/bin/env bash
# batchgenerators 0.25.1 and 0.25.5, both of which nnunetv2 2.8.1 accepts (it asks for >=0.25.1): resize_segmentation of the same label map
# gives other labels. 0.25.1 sets each label where its own share reaches one half, so that a voxel where three labels meet becomes
# background, inside an organ too; 0.25.5 takes the label with the largest share.
#
# Expected: the same labels from every version that the package accepts. Real: voxels differ, and 0.25.1 leaves background between labels
# of a map that has none.
# Why it matters here: nnU-Net resamples the labels of 3d_lowres so before 3d_cascade_fullres sees them. Which labels a cascade gives hangs
# on a transitive package; "exact" here means 0.25.5. Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >resize.py <<'PY'
import sys

import numpy as np
from batchgenerators.augmentations.utils import resize_segmentation

rng = np.random.default_rng(0)
seeds = rng.uniform(0, 1, (24, 3)) * (12, 15, 17)
z, y, x = np.indices((12, 15, 17))
distance = [(z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 for a, b, c in seeds]
labels = (1 + np.argmin(distance, 0)).astype(np.uint8)  # 24 organs that touch each other, no background
np.save(sys.argv[1], resize_segmentation(labels, (19, 26, 31), order=1))
PY
for version in 0.25.1 0.25.5; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet --disable-pip-version-check "batchgenerators==$version" numpy==2.2.6 scipy==1.15.3 scikit-image==0.25.2
    "$version/bin/python" resize.py "$version.npy"
done
cat >compare.py <<'PY'
import sys

import numpy as np

old, new = np.load("0.25.1.npy"), np.load("0.25.5.npy")
print(f"voxels that differ: {np.mean(old != new):.2%}, expected none")
print(f"background in a map without any: {np.mean(old == 0):.2%} with 0.25.1, {np.mean(new == 0):.2%} with 0.25.5")
sys.exit(0 if np.mean(old != new) > 0.01 and np.any(old == 0) and not np.any(new == 0) else 1)
PY
0.25.5/bin/python compare.py
