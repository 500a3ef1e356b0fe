#!/usr/bin/env bash
# SimpleITK 2.5.7 writes an image to SCAN.MHA without an error, and no such file comes to be: MetaIO knows the ending .mha in small letters
# only, takes any other name for a header with separate voxels and writes SCAN.mhd and SCAN.zraw (SCAN.raw without compression).
# A SCAN.MHA that lies there cannot be read either, where SCAN.NRRD can.
#
# Expected: SCAN.MHA, or an error. Real: two files of other names.
# Why it matters here: labels are written under a temporary name that is then renamed; in capitals, as old systems write names, the
# renaming finds nothing. What reads and writes here names ITK's class itself and hands it small letters. Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check SimpleITK==2.5.7 numpy==2.4.6
cat >write.py <<'PY'
import os
import sys

import numpy as np
import SimpleITK

image = SimpleITK.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
os.mkdir("out")
SimpleITK.WriteImage(image, "out/SCAN.MHA", True)
written = sorted(os.listdir("out"))
print(f"WriteImage(image, 'SCAN.MHA', True) wrote {written}; expected ['SCAN.MHA']")
SimpleITK.WriteImage(image, "scan.mha", True)
os.rename("scan.mha", "SCAN.MHA")
try:
    SimpleITK.ReadImage("SCAN.MHA")
    read = "read"
except RuntimeError as error:
    read = str(error).strip().rpartition("\n")[2]
print(f"ReadImage('SCAN.MHA') of a sound file: {read}; expected the image")
sys.exit(0 if written == ["SCAN.mhd", "SCAN.zraw"] and "Unable to determine ImageIO reader" in read else 1)
PY
env/bin/python write.py
