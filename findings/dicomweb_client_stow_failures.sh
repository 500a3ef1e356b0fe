#!/usr/bin/env bash
# dicomweb-client 0.61.2: store_instances (STOW-RS) takes an answer whose media type has a parameter for an empty one. A service that
# keeps one of two objects answers with HTTP 202 and a Failed SOP Sequence; with "application/dicom+json; charset=utf-8", which
# RFC 9110 (section 8.3.1) allows, the caller gets a data set without anything in it, as if nothing had failed.
#
# Expected: one item in FailedSOPSequence, with and without the parameter. Real: one without it, none with it.
# Why it matters here: a worker that sends results to an archive would call a study done that the archive has not kept.
# Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check dicomweb-client==0.61.2 pydicom==3.0.2
cat >store.py <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset

FAILED = {"00081198": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.4"]}, "00081197": {"vr": "US", "Value": [272]}}]}}
KEPT = {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]}}


class Service(BaseHTTPRequestHandler):
    kind = ""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({**FAILED, **KEPT}).encode()
        self.send_response(202)
        self.send_header("Content-Type", self.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def dataset(uid):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, uid
    return made


server = HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
failed = []
for kind in ("application/dicom+json", "application/dicom+json; charset=utf-8"):
    Service.kind = kind
    answer = DICOMwebClient(f"http://127.0.0.1:{server.server_port}").store_instances([dataset("1.2.3"), dataset("1.2.4")])
    failed.append(len(answer.get("FailedSOPSequence") or ()))
    print(f"{kind}: FailedSOPSequence, expected 1 item, real {failed[-1]}")
sys.exit(failed != [1, 0])
PY
env/bin/python store.py
