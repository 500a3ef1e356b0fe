"""Wall time a study through the worker beside that of one batch of `flare-trt segment`, the model loaded in both.

    python -m tests.engine.apps.pacs.wall_per_study [STUDIES]

Sends synthetic bodies by storescu to a worker with the default model, and segments the same series in one batch with the same
outputs. The worker's wall runs from its first run to its last result in Orthanc, the batch's from the loaded model to the last
study written. Prints both and their ratio; asserts nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.engine.apps.pacs.clinic import WorkerProcess, free_port, orthanc, send, until

from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.results.dicom.ct_series import write_ct_series

SHAPE_ZYX, SPACING_MM = (70, 112, 120), (5.0, 3.5, 3.5)


def by_worker(folder: Path, studies: list[Path]) -> float:
    """Seconds from the first run to the last `done` of the log."""
    with orthanc(folder / "orthanc", free_port()) as pacs:
        words = ("--send-to", pacs.address, "--quiet", "5", "--mode", "fast", "--device", "cpu", "--min-free", "1MB")
        process = WorkerProcess(folder / "queue", default_model(), words)
        process.network = ()
        process.start()
        try:
            for study in studies:
                assert send(process.port, study).returncode == 0
            until(lambda: process.states() == ["done"] * len(studies), "the last result")
        finally:
            process.kill()
    lines = process.log.read_text().splitlines()
    times = [datetime.fromisoformat(line[:23].replace(",", ".")) for line in lines if re.search(r": (running|done)$", line)]
    return (max(times) - min(times)).total_seconds()


def by_batch(folder: Path, studies: list[Path]) -> float:
    """Seconds from the printed model line, after which the first study is segmented, to the end."""
    out = folder / "batch"
    words = ["segment", *map(str, studies), "-o", str(out / "{case}_seg.dcm"), "--sr", str(out / "{case}_sr.dcm")]
    words += ["--rtstruct", str(out / "{case}_rt.dcm"), "--report", str(out), "--mode", "fast", "--device", "cpu"]
    process = subprocess.Popen([sys.executable, "-m", "flare_trt.engine", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    start_s = time.monotonic()
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - start_s


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = [folder / "studies" / f"{number:02}" for number in range(count)]
        for number, study in enumerate(studies):
            write_ct_series(study, make_phantom(number, SHAPE_ZYX, SPACING_MM)[0], "Synthetic body 5.0")
        batch_s, worker_s = by_batch(folder, studies) / count, by_worker(folder, studies) / count
        print(f"a study: batch {batch_s:.2f} s, worker {worker_s:.2f} s, ratio {worker_s / batch_s:.2f}")


if __name__ == "__main__":
    main()
