#!/usr/bin/env bash
# 16 stored bits with a sign, in a codestream of 12 bits without one: pydicom and GDCM take opposite sides, and change sides between
# codecs. Under JPEG-LS and JPEG 2000 pydicom 3.0.2 takes the codestream's highest bit for the sign and SimpleITK 2.5.7 (GDCM) does not;
# under lossless JPEG it is python-gdcm through pydicom that does not, and SimpleITK that does.
#
# Expected: one answer, or an error, for the standard (PS3.5, 8.2) wants the precision of a codestream to fit the stored bits. Real: -1000
# comes out as 3096 in one reader and as -1000 in the other, without a word.
# Why it matters here: HU of a series depend on the library that read it, so such a file is better refused.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    pydicom==3.0.2 pylibjpeg==2.1.0 pylibjpeg-openjpeg==2.6.0 pyjpegls==1.5.1 python-gdcm==3.2.6 SimpleITK==2.5.7 imagecodecs==2026.3.6 numpy
cat >read.py <<'PY'
import sys
import warnings

import imagecodecs
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

warnings.simplefilter("ignore")
NATIVE = "1.2.840.10008.1.2.1"


def image(cells, bits, signed, syntax=NATIVE, codestream=None):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "CT"
    ds.Rows, ds.Columns = cells.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", signed
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits, bits - 1
    ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing = [0, 0, 0], [1, 0, 0, 0, 1, 0], [1, 1]
    if codestream is None:
        ds.add_new("PixelData", "OW", cells.tobytes())
    else:
        ds.add_new("PixelData", "OB", encapsulate([codestream]))
        ds["PixelData"].is_undefined_length = True
    return ds


def jpeg_ls(cells):
    ds = image(cells, 12, 0)
    ds.compress("1.2.840.10008.1.2.4.80", generate_instance_uid=False)
    return get_frame(ds.PixelData, 0, number_of_frames=1)


values = (np.arange(64 * 64).reshape(64, 64) % 2000 - 1000).astype(np.int32)
cells = (values & 0xFFF).astype(np.uint16)
lowest = {}
for name, syntax, codestream in (
    ("JPEG-LS", "1.2.840.10008.1.2.4.80", jpeg_ls(cells)),
    ("JPEG 2000", "1.2.840.10008.1.2.4.90", bytes(imagecodecs.jpeg2k_encode(cells, level=0, codecformat="j2k", bitspersample=12))),
    ("lossless JPEG", "1.2.840.10008.1.2.4.70", bytes(imagecodecs.ljpeg_encode(cells, bitspersample=12))),
):
    image(cells, 16, 1, syntax, codestream).save_as("image.dcm", enforce_file_format=True)
    by_pydicom = int(pydicom.dcmread("image.dcm").pixel_array.min())
    by_itk = int(sitk.GetArrayFromImage(sitk.ReadImage("image.dcm")).min())
    lowest[name] = by_pydicom, by_itk
    print(f"{name}: lowest value, expected the same from both; pydicom {by_pydicom}, SimpleITK {by_itk}")
sys.exit(lowest != {"JPEG-LS": (-1000, 0), "JPEG 2000": (-1000, 0), "lossless JPEG": (0, -1000)})
PY
env/bin/python read.py
