"""Faults of disks and folders. Each function injects one `times` times and says what happened, or raises AssertionError."""

from __future__ import annotations

import errno
import gzip
import io
import random
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from tests.faults.setting import finished, make_bundle, make_scans, temporary

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.batch.jobs import Destination, Job, make_folders, plan_jobs
from flare_trt.engine.batch.overlap import Outcome, run_in_turn, run_overlapped
from flare_trt.engine.batch.scan_steps import PartlyWrittenError, ct_reader, scan_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.scan_report import ScanReport
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.scans.nifti import NiftiReader
from flare_trt.engine.segmenter import Segmenter

Told = list[Outcome[Job, ScanReport]]


@contextmanager
def batch(folder: Path, count: int) -> Iterator[tuple[tuple[Job, ...], Segmenter]]:
    """Jobs with reports and previews, and an open segmenter."""
    scans = make_scans(folder / "scans", count)
    jobs = plan_jobs([scans], Destination(*(folder / name for name in ("labels", "reports", "previews"))))
    make_folders(jobs)
    with Segmenter.open(make_bundle(folder / "bundle"), RunOptions(device="cpu", backend="fake", threads=1)) as segmenter:
        yield jobs, segmenter


def full_disk(folder: Path, times: int) -> str:
    """No file may grow beyond some bytes while labels, report and preview are written: EFBIG where a full disk gives ENOSPC."""
    rng, hard = random.Random(0), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    with batch(folder, 1) as ((job,), segmenter):
        steps = scan_steps(segmenter, ct_reader(RunOptions()), lambda _: None)
        scan = steps.read(job)
        found = segmenter.segment(scan.ct)
        failed = 0
        for _ in range(times):
            resource.setrlimit(resource.RLIMIT_FSIZE, (rng.choice((0, 1, 100, 1000, rng.randrange(4000))), hard))
            try:
                steps.write(job, scan, found)
            except OutputError as error:
                failed += "cannot be written" in str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            for place in job.outputs:
                assert temporary(place.parent) == [], "a half-written file stayed behind"
                assert not place.exists() or place.stat().st_size > 100, "a file was cut off"
            finished(job.labels.parent)
        assert failed > times / 2
        steps.write(job, scan, found)
    return f"{failed} times OutputError that names the file, no half-written file; with room again all is written"


def vanishing_folder(folder: Path, times: int) -> str:
    """The output folder is removed while the first scan of three is being segmented."""
    for turn in range(times):
        place = folder / str(turn)
        place.mkdir()
        told: Told = []
        with batch(place, 3) as (jobs, segmenter):
            steps = scan_steps(
                segmenter, ct_reader(RunOptions()), lambda job, gone=place / "labels": lambda *_: shutil.rmtree(gone, True)
            )
            (run_overlapped, run_in_turn)[turn % 2](jobs, steps, told.append)
        assert [type(outcome.error) for outcome in told] == [PartlyWrittenError, OutputError, OutputError], told
        assert all("is not there" in str(outcome.error) for outcome in told)
    return "OutputError for each scan, naming the folder; the batch goes through to its end with exit code 1"


class _BadSectors(io.BufferedReader):
    """A file that cannot be read beyond some byte."""

    good = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._require(size)
        return super().read(size)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # narrower than the library's Buffer
        self._require(len(buffer))
        return super().readinto(buffer)

    def _require(self, size: int | None) -> None:
        if size and self.tell() + size > self.good:
            raise OSError(errno.EIO, "Input/output error")


def bad_sectors(folder: Path, times: int) -> str:
    """EIO at a random byte of the scan, in the header and behind it."""
    scan = next(make_scans(folder / "scans", 1).iterdir())
    plain = folder / "ct.nii"
    plain.write_bytes(gzip.decompress(scan.read_bytes()))
    rng = random.Random(0)

    for _ in range(times):
        good = rng.randrange(plain.stat().st_size)

        def opened(self: Path, mode: str = "r", good: int = good) -> io.BufferedReader:
            file = _BadSectors(io.FileIO(str(self), "r"))
            file.good = good
            return file

        wanted = pytest.raises(InputError, match=r"ct\.nii: cannot be read: Input/output error")
        with mock.patch.object(Path, "open", opened), wanted:
            read_ct(plain)
    return "InputError that names the file and the error; nothing is written"


def shrinking_scan(folder: Path, times: int) -> str:
    """The scan is cut off after its header and size were checked and before its voxels are read."""
    scan = next(make_scans(folder / "scans", 1).iterdir())
    whole, rng = scan.read_bytes(), random.Random(0)
    for _ in range(times):
        scan.write_bytes(whole)
        reader = NiftiReader(scan)
        scan.write_bytes(whole[: rng.randrange(len(whole) - 1)])
        with pytest.raises(InputError, match=scan.name):
            list(reader.slabs())
    return "InputError that names the file"
