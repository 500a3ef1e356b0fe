#!/usr/bin/env bash
# A float scan may be padded with NaN, as resampling with an unknown outside leaves it. SimpleITK 2.5.7 (ITK's NIfTI reader) hands
# out such voxels of a .nii or .nii.gz file as stored 0, infinity too; of the same image as .nrrd or .mha it hands out NaN. nibabel 5.4.2
# hands out NaN of NIfTI as well.
#
# Expected: the same voxels, whatever the file format. Real: 0 or NaN.
# Why it matters here: nnU-Net crops zeros and segments the padded NIfTI scan well. The same scan as .mha, or read by NibabelIO, is NaN
# for its network: one NaN voxel is enough for an empty label map without an error. The reader here takes NaN in NIfTI for stored 0, with a
# warning, and refuses it elsewhere. Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.4.6
cat >read.py <<'PY'
import sys

import nibabel
import numpy as np
import SimpleITK

array = np.full((5, 6, 7), 40, np.float32)
array[0] = np.nan
array[1, 0, 0] = -np.inf
image = SimpleITK.GetImageFromArray(array)
found = {}
for name in ("scan.nii.gz", "scan.nrrd", "scan.mha"):
    SimpleITK.WriteImage(image, name)
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(name))
    found[f"SimpleITK, {name}"] = int((~np.isfinite(read)).sum()), float(read[0, 0, 0]), float(read[1, 0, 0])
read = nibabel.load("scan.nii.gz").get_fdata().T
found["nibabel, scan.nii.gz"] = int((~np.isfinite(read)).sum()), float(read[0, 0, 0]), float(read[1, 0, 0])
for name, (count, first, other) in found.items():
    print(f"{name}: {count} of the 43 voxels that are no numbers; NaN is read as {first:g}, -inf as {other:g}")
zeroed = [name for name, (count, *_) in found.items() if count == 0]
sys.exit(0 if zeroed == ["SimpleITK, scan.nii.gz"] and {count for count, *_ in found.values()} == {0, 43} else 1)
PY
env/bin/python read.py
