#!/usr/bin/env bash
# pydicom 3.0.2: PersonName.original_string is not the name as it stands in the file. The name is decoded first, with U+FFFD for
# each byte that the declared character set does not hold, and original_string is then encoded from that.
#
# Expected (the name of the attribute, and pydicom 1 and 2): b"TEST^\xc4", which stands in the file. Real: b"TEST^\xef\xbf\xbd".
# Why it matters here: a tool that copies a patient's name through it files its output under another name. The bytes are to be had
# from Dataset.get_item alone, before the element is first used; and a file that is written from raw elements decodes them too.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2
cat >read.py <<'PY'
import io
import sys
import warnings

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

warnings.simplefilter("ignore")
stored = "TEST^Ä".encode("latin-1")
ds = Dataset()
ds.file_meta = FileMetaDataset()
ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", "#" * len(stored)
file = io.BytesIO()
ds.save_as(file, enforce_file_format=True)
data = file.getvalue().replace(b"#" * len(stored), stored)
raw = pydicom.dcmread(io.BytesIO(data)).get_item("PatientName").value
name = pydicom.dcmread(io.BytesIO(data)).PatientName.original_string
copy = Dataset()  # as a tool would that makes a new file with the source's patient
source = pydicom.dcmread(io.BytesIO(data))
copy.file_meta, copy.SpecificCharacterSet, copy.SOPClassUID, copy.SOPInstanceUID = ds.file_meta, "ISO_IR 192", ds.SOPClassUID, "1.2.3"
copy[0x00100010] = source.get_item("PatientName")
out = io.BytesIO()
copy.save_as(out, enforce_file_format=True)
copied = stored in out.getvalue()
print(f"in the file: expected {stored}, raw element {raw}; original_string: expected {stored}, real {name}")
print(f"a raw element put into a new dataset is written as it stands: expected True, real {copied}")
sys.exit(not (raw == stored and name == "TEST^\ufffd".encode() and not copied))
PY
env/bin/python read.py
