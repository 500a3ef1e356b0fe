#!/usr/bin/env bash
# dcmqi 1.5.7 refuses a labelmap DICOM-SEG whose pixels are in JPEG-LS Lossless (1.2.840.10008.1.2.4.80): "JPEG-LS Lossless uses lossy
# compression, not supported for Segmentation objects!". The syntax is lossless by its definition (PS3.5, A.4.3); the same labels in RLE
# Lossless are read.
#
# Expected: both files give the labels back. Real: RLE does, JPEG-LS is refused.
# Why it matters here: labelmaps are written in RLE, though JPEG-LS is smaller and faster to write.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5 dcmqi==1.5.7 \
    pyjpegls==1.5.1 pylibjpeg==2.1.0 pylibjpeg-rle==2.2.0
cat >make.py <<'PY'
import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

study, series, place = generate_uid(), generate_uid(), generate_uid()
images = []
for z in range(4):
    ct = Dataset()
    ct.SOPClassUID, ct.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study, series, place
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        setattr(ct, name, "")
    ct.AccessionNumber = ct.ReferringPhysicianName = ct.PositionReferenceIndicator = ""
    ct.Modality, ct.InstanceNumber, ct.Rows, ct.Columns = "CT", z + 1, 16, 24
    ct.ImageOrientationPatient, ct.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2 * z]
    ct.PixelSpacing, ct.SliceThickness, ct.SpacingBetweenSlices = [1, 1], 2, 2
    images.append(ct)
labels = np.zeros((4, 16, 24), np.uint8)
labels[:, 3:9, 4:12] = 1
segments = [hd.seg.SegmentDescription(1, "liver", codes.SCT.AnatomicalStructure, codes.SCT.Liver, "MANUAL")]
for name, syntax, plugin in (("rle", "1.2.840.10008.1.2.5", "pylibjpeg"), ("jpeg_ls", "1.2.840.10008.1.2.4.80", "pyjpegls")):
    seg = hd.seg.Segmentation(images, labels, "LABELMAP", segments, generate_uid(), 1, generate_uid(), 1, "maker", "model", "1", "1")
    seg.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    seg.save_as(f"{name}.dcm")
PY
env/bin/python make.py
for name in rle jpeg_ls; do
    mkdir "$name"
    env/bin/segimage2itkimage --inputDICOM "$name.dcm" --outputDirectory "$name" --outputType nrrd >"$name.log" 2>&1 || true
    echo "$name: $(ls "$name" | wc -l) files written; $(grep -o '^E: .*' "$name.log" || echo 'no error')"
done
[ -n "$(ls rle)" ] && grep -q "JPEG-LS Lossless uses lossy compression" jpeg_ls.log || { echo "CHANGED"; exit 1; }
echo "As described: RLE is read, JPEG-LS Lossless is called lossy."
