#!/usr/bin/env bash
# dcmjs 0.29.13 (OHIF's reader of DICOM-SEG) puts the frames of a valid DICOM-SEG on wrong slices where the root has a Source Image
# Sequence (0008,2112), as highdicom writes it: it takes item N of that sequence for the source of frame N. PS3.3 C.12.4 lists the
# sources there without an order; which image a frame lies on stands in its own Derivation Image Sequence (C.7.6.16.2.6), which
# dcmjs reads only where the root's sequence is absent. dcmjs 0.52.2 asks the frame first.
#
# Expected: every frame on the slice of its own reference and position. Real: frames of the second segment and all after a gap move.
# Why it matters here: a DICOM-SEG of ours looks wrong in one viewer and right in all others, so it is written without the sequence.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5
cat >make.py <<'PY'
import json

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

study, series, place = generate_uid(), generate_uid(), generate_uid()
images, facts = [], []
for z in range(6):
    ct = Dataset()
    ct.SOPClassUID, ct.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study, series, place
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        setattr(ct, name, "")
    ct.AccessionNumber = ct.ReferringPhysicianName = ct.PositionReferenceIndicator = ""
    ct.Modality, ct.InstanceNumber, ct.Rows, ct.Columns = "CT", z + 1, 8, 9
    ct.ImageOrientationPatient, ct.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2 * z]
    ct.PixelSpacing, ct.SliceThickness, ct.SpacingBetweenSlices = [1, 1], 2, 2
    images.append(ct)
    facts.append({"sop": ct.SOPInstanceUID, "series": series, "frame": place, "position": [0, 0, 2 * z]})
labels = np.zeros((6, 8, 9), np.uint8)
labels[2:5, 1:4, 1:4] = 1  # begins at the third slice
labels[1:6, 5:7, 5:8] = 2
segments = [
    hd.seg.SegmentDescription(number, name, codes.SCT.AnatomicalStructure, kind, "MANUAL")
    for number, name, kind in ((1, "liver", codes.SCT.Liver), (2, "spleen", codes.SCT.Spleen))
]
seg = hd.seg.Segmentation(images, labels, "BINARY", segments, generate_uid(), 1, generate_uid(), 1, "maker", "model", "1", "1")
seg.save_as("seg.dcm")
json.dump(facts, open("images.json", "w"))
labels.astype("<u2").tofile("labels.u16")
PY
env/bin/python make.py
cat >read.cjs <<'JS'
const fs = require("fs");
const { adapters } = require(process.argv[2]);
const images = JSON.parse(fs.readFileSync("images.json"));
const of = (id) => images[Number(id)];
const modules = {
    imagePlaneModule: (i) => ({ rows: 8, columns: 9, rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], imagePositionPatient: i.position }),
    generalSeriesModule: (i) => ({ seriesInstanceUID: i.series }),
    imagePixelModule: () => ({ rows: 8, columns: 9 }),
    sopCommonModule: (i) => ({ sopInstanceUID: i.sop }),
    instance: (i) => ({ Rows: 8, Columns: 9, SOPInstanceUID: i.sop, SeriesInstanceUID: i.series, FrameOfReferenceUID: i.frame,
        ImagePositionPatient: i.position }),
};
const provider = { get: (name, id) => modules[name]?.(of(id)) };
const bytes = fs.readFileSync("seg.dcm");
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
const found = adapters.Cornerstone.Segmentation.generateToolState(images.map((_, z) => String(z)), buffer, provider);
const got = new Uint16Array(found.labelmapBufferArray[0]);
const wanted = new Uint16Array(new Uint8Array(fs.readFileSync("labels.u16")).buffer);
console.log(wanted.filter((label, at) => label !== got[at]).length);
JS
count() {
    npm install --prefix "$1" --ignore-scripts --no-audit --no-fund --silent "dcmjs@$1" >/dev/null
    node read.cjs "./$1/node_modules/dcmjs" | tail -n 1
}
old=$(count 0.29.13) new=$(count 0.52.2)
echo "voxels on wrong slices of a valid DICOM-SEG: expected 0 and 0; dcmjs 0.29.13: $old, dcmjs 0.52.2: $new"
[ "$old" -gt 0 ] && [ "$new" -eq 0 ]
