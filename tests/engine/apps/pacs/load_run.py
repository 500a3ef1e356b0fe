"""A worker under load for as long as one likes: senders that never rest, some of which break off, repeat or come twice at once.

    python -m tests.engine.apps.pacs.load_run SECONDS

A real Orthanc gets the results of a fake network. In the end every study that was sent whole has one DICOM-SEG there, and no other
has; the worker has neither gathered memory nor open files nor images. Prints a line every ten seconds; fails where that is not so.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from tests.engine.apps.pacs.clinic import Orthanc, WorkerProcess, deliver, free_port, orthanc, program, until, worker, write_study
from tests.engine.fake_bundle import fake_bundle, fake_spec

#: Senders at once, and how many studies may wait before they do. Shares of their deliveries that break off, and that are repeats.
SENDERS, MOST_WAITING = 3, 20
BROKEN, REPEATED = 0.1, 0.2
#: What a worker may gather between the middle and the end of a run.
MORE_MB, MORE_FILES = 100, 10


@dataclass
class Load:
    """What the senders share."""

    folder: Path
    running: WorkerProcess
    end_s: float
    sent: set[str] = field(default_factory=set)
    deliveries: int = 0
    broken_off: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sender(self, number: int) -> None:
        """Send until the time is up."""
        chance = random.Random(number)
        last = None
        for count in range(10**6):
            if time.monotonic() > self.end_s:
                return
            while len([state for state in self.running.states() if state != "done"]) > MOST_WAITING:
                time.sleep(0.2)
            if last is None or chance.random() > REPEATED:
                if last is not None:
                    shutil.rmtree(last)
                last = write_study(self.folder / f"{number}-{count}", chance.randrange(10**6), 9 + count % 5)
            if chance.random() < BROKEN:
                self.break_off(last)
            deliver(last, self.running.port)
            with self.lock:
                self.sent.add(str(pydicom.dcmread(next(last.iterdir()), stop_before_pixels=True).SeriesInstanceUID))
                self.deliveries += 1

    def break_off(self, study: Path) -> None:
        """End a scanner in the middle of its sending."""
        words = [program("storescu", "dcmtk"), "-aet", "SCANNER", "-aec", "FLARE", "127.0.0.1", str(self.running.port)]
        sender = subprocess.Popen(
            [*words, *map(str, sorted(study.iterdir()))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(0.05)
        sender.send_signal(signal.SIGKILL)
        sender.wait()
        with self.lock:
            self.broken_off += 1


def run(seconds: float, folder: Path) -> None:
    """One run. Raises AssertionError where something is lost, doubled or gathered."""
    bundle = fake_bundle(folder / "model" / "fake", fake_spec())
    with orthanc(folder / "orthanc", free_port()) as pacs:
        words = ("--send-to", pacs.address, "--quiet", "1", "--keep", "0")
        with worker(folder / "queue", bundle, *words, port=pacs.worker_port) as running:
            load = Load(folder / "studies", running, time.monotonic() + seconds)
            threads = [threading.Thread(target=load.sender, args=(number,)) for number in range(SENDERS)]
            for thread in threads:
                thread.start()
            middle = watch(load, time.monotonic() + seconds / 2)
            end = watch(load, load.end_s)
            for thread in threads:
                thread.join()
            until(lambda: running.states() == [], "the end of the queue")
            require_all(load, pacs)
            assert list((running.queue / "studies").iterdir()) == []
            assert end[0] < middle[0] + MORE_MB, (middle, end)
            assert end[1] < middle[1] + MORE_FILES, (middle, end)
            assert running.stop() == 0


def watch(load: Load, until_s: float) -> tuple[float, int]:
    """Print what goes on until a time; returns the worker's memory in MB and how many files it has open, then."""
    while True:
        status = Path(f"/proc/{load.running.pid}/status").read_text()
        memory_mb = int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1000
        files = len(list(Path(f"/proc/{load.running.pid}/fd").iterdir()))
        states = load.running.states()
        waiting = len(states) - states.count("done")
        words = f"{load.deliveries} delivered, {load.broken_off} broken off, {waiting} in the queue"
        print(f"{words}, {memory_mb:.0f} MB, {files} open files", flush=True)
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return memory_mb, files
        time.sleep(min(10.0, left_s))


def require_all(load: Load, pacs: Orthanc) -> None:
    """Each study that was sent has one DICOM-SEG, and nothing else has one."""
    found = pacs.segmentations()
    assert set(found) == load.sent
    assert [len(pacs.instances(kind)) for kind in ("SR", "RTSTRUCT")] == [len(found)] * 2
    print(f"{len(found)} studies, {load.deliveries} deliveries, {load.broken_off} broken off: none lost, none doubled")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        run(float(sys.argv[1]), Path(name))
