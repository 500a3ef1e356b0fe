#!/usr/bin/env bash
# Orthanc 1.10.1 with its DICOMweb plugin 1.7 (Debian 12): where QIDO-RS asks for studies by ModalitiesInStudy, pages are wrong.
# `offset` alone is passed over, and with `limit` the studies are cut to the limit before the offset is taken off.
#
# Expected of three studies with CT (PS3.18, 8.3.4.4): offset=1 gives two, offset=1&limit=1 one, offset=3 none.
# Real: three, none, three; by StudyDate or with nothing asked for it is as expected.
# Why it matters here: a program that fetches page after page until one is empty never ends, one that goes on while pages are full
# sees the first page alone: studies are not segmented. The watcher here asks without it and looks at the answers.
# Needs Debian's orthanc and orthanc-dicomweb; exits 1 where this behaviour has changed, 3 where they are missing.
set -euo pipefail
orthanc=$(PATH="$PATH:/usr/sbin" command -v Orthanc) && plugin=/usr/share/orthanc/plugins/libOrthancDicomWeb.so && [ -e "$plugin" ] ||
    { echo "apt-get install orthanc orthanc-dicomweb"; exit 3; }
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
"$orthanc" --version | head -n 1
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >orthanc.json <<JSON
{"StorageDirectory": "$folder/db", "IndexDirectory": "$folder/db", "HttpPort": $port, "DicomServerEnabled": false,
 "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "Plugins": ["$plugin"], "DicomWeb": {"Enable": true}}
JSON
mkdir db
"$orthanc" orthanc.json >log 2>&1 &
server=$!
cat >ask.py <<'PY'
import io
import json
import sys
import time
import urllib.request

from pydicom.dataset import Dataset, FileMetaDataset

base = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(600):
    try:
        urllib.request.urlopen(f"{base}/system").read()
        break
    except OSError:
        time.sleep(0.1)
for number in range(3):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{number}.3"
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = f"1.2.3.{number}", f"1.2.3.{number}.2", "CT"
    made.PatientID, made.StudyDate = str(number), "20240101"
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    urllib.request.urlopen(urllib.request.Request(f"{base}/instances", file.getvalue())).read()


def studies(query):
    request = urllib.request.Request(f"{base}/dicom-web/studies?{query}", headers={"Accept": "application/dicom+json"})
    return len(json.loads(urllib.request.urlopen(request).read() or b"[]"))


found = []
for page, expected in (("offset=1", 2), ("offset=1&limit=1", 1), ("offset=3", 0)):
    by_date, by_modality = studies(f"StudyDate=20240101&{page}"), studies(f"ModalitiesInStudy=CT&{page}")
    found.append((by_date, by_modality))
    print(f"{page}: expected {expected}; by StudyDate {by_date}, by ModalitiesInStudy {by_modality}")
sys.exit(found != [(2, 3), (1, 0), (0, 3)])
PY
env/bin/python ask.py "$port"
