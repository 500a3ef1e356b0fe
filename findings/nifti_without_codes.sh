#!/usr/bin/env bash
# A NIfTI-1 file whose qform_code and sform_code are both 0 has no orientation (nifti1.h, METHOD 1). The two readers of nnU-Net still give one,
# and not the same: SimpleITK 2.5.7 lets y run to Posterior, nibabel 5.4.2 to Anterior. Where the two affines disagree (sform of kind 2),
# SimpleITK goes by the qform and nibabel by the sform.
#
# Expected: an error, or one answer. Real: two answers without a word.
# Why it matters here: nnU-Net models of NibabelIOWithReorient see such a scan mirrored against ones of SimpleITKIOWithReorient; a runtime
# that reads all headers one way gives 53 % of nnU-Net's voxels. Exits 1 where this behaviour has changed.
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


def orientations(sform_code, qform_code):
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 5, 6))
    header.set_data_dtype(np.int16)
    header.set_qform(np.diag([-2.0, -2.0, 2.0, 1.0]), qform_code)
    sform = np.diag([2.0, 2.0, 2.0, 1.0])
    sform[:3, 3] = -8, -10, 0  # the flipped scan in about the same place
    header.set_sform(sform, sform_code)
    header["pixdim"][1:4], header["vox_offset"], header["magic"] = 2, 352, b"n+1"
    with open("scan.nii", "wb") as file:
        file.write(header.binaryblock + bytes(4) + np.arange(120, dtype=np.int16).tobytes())
    by_nibabel = "".join(nibabel.aff2axcodes(nibabel.load("scan.nii").affine))
    lps = np.reshape(SimpleITK.ReadImage("scan.nii").GetDirection(), (3, 3))
    affine = np.diag([-1, -1, 1]) @ lps
    return by_nibabel, "".join(nibabel.aff2axcodes(np.block([[affine, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])))


neither, disagreeing = orientations(0, 0), orientations(2, 1)
print(f"neither code set: nibabel {neither[0]}, SimpleITK {neither[1]}; expected the same")
print(f"sform of kind 2 against the qform: nibabel {disagreeing[0]}, SimpleITK {disagreeing[1]}; expected the same")
sys.exit(0 if neither == ("LAS", "LPS") and disagreeing == ("RAS", "LPS") else 1)
PY
env/bin/python read.py
