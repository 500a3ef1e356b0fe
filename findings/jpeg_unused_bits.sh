#!/usr/bin/env bash
# Pixels of 16 allocated and 12 stored bits, coded with all 16 into JPEG-LS or JPEG 2000 (as DCMTK's dcmcjpls does): what stands in
# the four other bits, an old overlay or a sign that was cut to 12 bits, comes out as image.
#
# Expected (PS3.5, 8.1.1: nothing may be assumed of bits that are not stored): the values of the uncompressed image. Real: pydicom 3.0.2
# corrects unused bits of native and RLE pixels only, and signs by the codestream's precision; SimpleITK 2.5.7 (GDCM) masks JPEG-LS
# and not JPEG 2000 of unsigned pixels.
# Why it matters here: air becomes +3096 HU, or what lies under an overlay 4096 HU denser, and no reader says a word.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    pydicom==3.0.2 pylibjpeg==2.1.0 pylibjpeg-openjpeg==2.6.0 pyjpegls==1.5.1 SimpleITK==2.5.7 imagecodecs==2026.3.6 numpy
cat >read.py <<'PY'
import sys
import warnings

import imagecodecs
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

warnings.simplefilter("ignore")
NATIVE, JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
CODERS = {
    NATIVE: None,
    JPEG_LS: imagecodecs.jpegls_encode,
    JPEG_2000: lambda cells: imagecodecs.jpeg2k_encode(cells, level=0, codecformat="j2k", bitspersample=16),
}


def written(cells, syntax, signed):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "CT"
    ds.Rows, ds.Columns = cells.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", signed
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing = [0, 0, 0], [1, 0, 0, 0, 1, 0], [1, 1]
    if CODERS[syntax]:
        ds.add_new("PixelData", "OB", encapsulate([bytes(CODERS[syntax](cells))]))
        ds["PixelData"].is_undefined_length = True
    else:
        ds.add_new("PixelData", "OW", cells.tobytes())
    ds.save_as("image.dcm", enforce_file_format=True)


ramp = (np.arange(64 * 64).reshape(64, 64) % 2000).astype(np.int32)
wrong = {}
for what, signed, values, unused in (("overlay", 0, ramp, 0x1000), ("sign", 1, ramp - 1000, 0)):
    cells = ((values & 0xFFF) | unused).astype(np.uint16)
    for name, syntax in (("native", NATIVE), ("JPEG-LS", JPEG_LS), ("JPEG 2000", JPEG_2000)):
        written(cells, syntax, signed)
        by_pydicom = pydicom.dcmread("image.dcm").pixel_array
        by_itk = sitk.GetArrayFromImage(sitk.ReadImage("image.dcm"))[0]
        wrong[what, name] = tuple(f"{(got != values).mean():.0%}" for got in (by_pydicom, by_itk))
        print(f"{what} in unused bits, {name}: pixels wrong, expected 0%; pydicom {wrong[what, name][0]}, SimpleITK {wrong[what, name][1]}")
as_found = (
    wrong["overlay", "native"] == wrong["sign", "native"] == ("0%", "0%")
    and wrong["overlay", "JPEG-LS"] == ("100%", "0%")
    and wrong["overlay", "JPEG 2000"] == ("100%", "100%")
    and wrong["sign", "JPEG-LS"][0] == wrong["sign", "JPEG 2000"][0] != "0%"
    and wrong["sign", "JPEG-LS"][1] == wrong["sign", "JPEG 2000"][1] == "0%"
)
sys.exit(not as_found)
PY
env/bin/python read.py
