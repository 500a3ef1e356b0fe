#!/usr/bin/env bash
# pydicom 3.0.2 refuses JPEG Extended of 12 bits (1.2.840.10008.1.2.4.51) with "GDCM does not support 'JPEG Extended' for samples with
# 12-bit precision". GDCM does: the same python-gdcm, called directly, gives the values of libjpeg-turbo (within rounding of the DCT).
#
# Expected: pydicom decodes with python-gdcm installed. Real: an error, so that the only plugin that is left is one under the GPL.
# Why it matters here: the error is taken at its word by readers built on pydicom; old CT archives are coded so.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 python-gdcm==3.2.6 imagecodecs==2026.3.6 numpy
cat >read.py <<'PY'
import sys

import gdcm
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

y, x = np.mgrid[:64, :64]
values = (1000 + 800 * np.sin(x / 9) + 10 * y).astype(np.uint16)
codestream = bytes(imagecodecs.jpeg8_encode(values, level=100, bitspersample=12))
ds = Dataset()
ds.file_meta = FileMetaDataset()
ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.51"
ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "CT"
ds.Rows, ds.Columns = values.shape
ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
ds.add_new("PixelData", "OB", encapsulate([codestream]))
ds["PixelData"].is_undefined_length = True
ds.save_as("image.dcm", enforce_file_format=True)
try:
    pydicom.dcmread("image.dcm").pixel_array
    said = ""
except RuntimeError as error:
    said = str(error)
reader = gdcm.ImageReader()
reader.SetFileName("image.dcm")
read = reader.Read()
got = np.frombuffer(reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape"), "<u2").reshape(values.shape)
off = int(np.abs(got.astype(int) - imagecodecs.jpeg8_decode(codestream)).max())
refused = "GDCM does not support" in said
print(f"pydicom with python-gdcm: expected pixels, real {'an error: GDCM does not support this' if refused else said or 'pixels'}")
print(f"python-gdcm itself: read {read}, largest difference to libjpeg-turbo {off} of {int(values.max())}")
sys.exit(not (refused and read and off <= 1))
PY
env/bin/python read.py
