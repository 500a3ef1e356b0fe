"""Wall time a study through the worker beside that of one batch of `flare-trt segment`, the model loaded in both.

    python -m tests.engine.apps.pacs.wall_per_study FOLDER STUDIES KIND  measures once: batch, worker or arriving
    python -m tests.engine.apps.pacs.wall_per_study FOLDER               medians of all that was measured there

Sends synthetic bodies by storescu to a worker with the default model, and segments the same series in one batch with the same
outputs. The worker's wall runs from its first run to its last result in Orthanc, with all studies in its queue or (arriving) while
storescu, one study after another, still sends on the same cores; the batch's from the loaded model to the last study written. CPU
seconds are those of the process, its start included. Asserts nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from tests.engine.apps.pacs.clinic import WorkerProcess, free_port, orthanc, send, until

from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.results.dicom.ct_series import write_ct_series

SHAPE_ZYX, SPACING_MM = (70, 112, 120), (5.0, 3.5, 3.5)
_OPTIONS = ["--mode", "fast", "--device", "cpu"]


def by_worker(folder: Path, studies: list[Path], arriving: bool) -> tuple[float, float]:
    """Seconds from the first run to the last `done` of the log, and CPU seconds."""
    with orthanc(folder / "orthanc", free_port()) as pacs:
        words = ("--send-to", pacs.address, *_OPTIONS, "--min-free", "1MB", "--quiet")
        process = WorkerProcess(folder / "queue", default_model(), (*words, "5" if arriving else "3600"))
        process.network = ()
        process.start()
        try:
            for study in studies:
                assert send(process.port, study).returncode == 0
            if not arriving:
                process.kill()
                process.options = (*words, "1")
                process.start()
            until(lambda: process.states() == ["done"] * len(studies), "the last result")
            cpu_s = cpu_seconds(process.pid)
        finally:
            process.kill()
    lines = process.log.read_text().splitlines()
    times = [datetime.fromisoformat(line[:23].replace(",", ".")) for line in lines if re.search(r": (running|done)$", line)]
    return (max(times) - min(times)).total_seconds(), cpu_s


def by_batch(folder: Path, studies: list[Path]) -> tuple[float, float]:
    """Seconds from the printed model line, after which the first study is segmented, to the end, and CPU seconds."""
    out = folder / "batch"
    words = ["segment", *map(str, studies), "-o", str(out / "{case}_seg.dcm"), "--sr", str(out / "{case}_sr.dcm")]
    words += ["--rtstruct", str(out / "{case}_rt.dcm"), "--report", str(out), *_OPTIONS]
    process = subprocess.Popen([sys.executable, "-m", "flare_trt.engine", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    start_s = time.monotonic()
    process.stdout.read()
    wall_s = time.monotonic() - start_s
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return wall_s, used.ru_utime + used.ru_stime


def cpu_seconds(pid: int) -> float:
    """CPU time of a living process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, count: int, kind: str) -> None:
    """One measurement, added to the folder's figures."""
    studies = [folder / "studies" / f"{number:02}" for number in range(count)]
    for number, study in enumerate(studies):
        if not study.exists():
            write_ct_series(study, make_phantom(number, SHAPE_ZYX, SPACING_MM)[0], "Synthetic body 5.0")
    place = folder / "run"
    place.mkdir()
    try:
        wall_s, cpu_s = by_batch(place, studies) if kind == "batch" else by_worker(place, studies, kind == "arriving")
    finally:
        shutil.rmtree(place)
    found = {"kind": kind, "studies": count, "wall_s": wall_s / count, "cpu_s": cpu_s / count}
    with (folder / "figures.jsonl").open("a") as file:
        file.write(json.dumps(found) + "\n")
    print(found)


def report(folder: Path) -> None:
    """The medians and their ratio."""
    found = [json.loads(line) for line in (folder / "figures.jsonl").read_text().splitlines()]
    walls = {kind: [one["wall_s"] for one in found if one["kind"] == kind] for kind in ("batch", "worker", "arriving")}
    for kind, seconds in walls.items():
        if seconds:
            cpu_s = statistics.median(one["cpu_s"] for one in found if one["kind"] == kind)
            wall_s = statistics.median(seconds)
            spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
            ratio = wall_s / statistics.median(walls["batch"])
            print(f"{kind}: {len(seconds)} runs, {wall_s:.2f} s a study ({spread}), CPU {cpu_s:.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        report(Path(sys.argv[1]))
    else:
        measure(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
