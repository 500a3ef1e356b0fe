#!/usr/bin/env bash
# highdicom 0.28.2 writes both Referenced Frame Number and Referenced Segment Number where an SR refers to a frame of a DICOM-SEG
# (ReferencedSegmentationFrame, TID 1410). PS3.3, table 10-3, has Referenced Segment Number as type 1C, required where Referenced Frame
# Number is not present, and without "may be present otherwise"; dciodvfy (dicom3tools) calls both together an error.
#
# Expected: the frame number alone. Real: both.
# Why it matters here: the reference to the segment is taken out of our SR after highdicom has made it.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5
cat >look.py <<'PY'
import sys

import highdicom as hd
from pydicom.uid import SegmentationStorage, generate_uid

image = hd.sr.SourceImageForSegmentation("1.2.840.10008.5.1.4.1.1.2", generate_uid())
frame = hd.sr.ReferencedSegmentationFrame(SegmentationStorage, generate_uid(), 5, 2, image)
reference = frame[0].ReferencedSOPSequence[0]
have = [name for name in ("ReferencedFrameNumber", "ReferencedSegmentNumber") if name in reference]
print("expected: ReferencedFrameNumber alone\nreal:    ", " and ".join(have))
sys.exit(0 if len(have) == 2 else 1)
PY
env/bin/python look.py
