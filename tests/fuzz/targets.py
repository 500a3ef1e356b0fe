"""The table of what is fuzzed. A new kind of input is one function and one line in TARGETS.

What a target is, `target.py` says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz import dicom_damage, dicom_meaning, dicom_seeds, http_requests, mutate, seeds
from tests.fuzz.target import Bench, LongWork, Target

from flare_trt.engine.base.errors import InputError

_MOST_TILES = 200


def stop_long_work(stage: str, done: int, total: int) -> None:
    """A progress function that ends runs which announce much work."""
    if total > _MOST_TILES:
        raise LongWork(f"{stage}: {total} tiles")


@cache
def _segmenter() -> Any:
    import tempfile

    from tests.engine.fake_bundle import fake_bundle, fake_spec

    from flare_trt.engine.model.options import RunOptions
    from flare_trt.engine.segmenter import Segmenter

    with tempfile.TemporaryDirectory() as folder:
        bundle = fake_bundle(Path(folder) / "bundle", fake_spec())
        return Segmenter.open(bundle, RunOptions(device="cpu", backend="fake", threads=1))


def _segment(planned: Any, bench: Bench) -> None:
    """Read, segment and write with every output there is; the fake network bands the image."""
    from flare_trt.engine.batch.jobs import is_finished
    from flare_trt.engine.batch.scan_steps import ct_reader, scan_steps
    from flare_trt.engine.model.options import RunOptions

    preview = bench.output / "preview.png" if bench.rng.random() < 0.1 else None  # the slowest part by far
    job = replace(planned, report=bench.output / "report.json", preview=preview)
    budget_mb = bench.rng.choice((None, 1, 0))  # what is larger than a quarter of it is read onto the disk
    steps = scan_steps(_segmenter(), ct_reader(RunOptions(max_memory_mb=budget_mb)), lambda _: stop_long_work)
    read = steps.read(job)
    steps.write(job, read, steps.segment(job, read))
    if not is_finished(job):
        raise AssertionError("the labels that were written are not whole or not on the scan's grid")


def _scan(data: bytes, bench: Bench) -> None:
    from flare_trt.engine.batch.jobs import Job

    scan = bench.input / bench.rng.choice(("scan.nii", "scan.nii.gz"))
    scan.write_bytes(data)
    _segment(Job(scan, bench.output / "labels.nii.gz"), bench)


def _series(data: bytes, bench: Bench) -> None:
    """A zipped DICOM series, as it is or unpacked into a folder beside other things, planned as the command does it."""
    from flare_trt.engine.batch.jobs import Destination, plan_jobs

    scan = bench.input / "series.zip"
    scan.write_bytes(data)
    if bench.rng.random() < 0.6:
        scan = _unpacked(scan, bench)
    labels = bench.output / ("labels.dcm" if bench.rng.random() < 0.04 else "labels.nii.gz")
    rtstruct = bench.output / "contours.dcm" if bench.rng.random() < 0.04 else None
    (job,) = plan_jobs([scan], Destination(labels, rtstruct=rtstruct))
    _segment(job, bench)


def _meaning(data: bytes, bench: Bench) -> None:
    from tests.fuzz.meaning import same_labels

    same_labels(data, bench, _segmenter())


def _unpacked(packed: Path, bench: Bench) -> Path:
    """The files of a zip in a folder, under names of their order; the zip itself where it cannot be read."""
    try:
        files = dicom_seeds.packed_files(packed.read_bytes())
    except Exception:  # noqa: BLE001  # zipfile raises many kinds for a damaged one, which is the zip reader's to refuse
        return packed
    folder = bench.input / "series"
    folder.mkdir()
    for number, file in enumerate(files.values()):
        (folder / f"im{number}").write_bytes(file)
    if bench.rng.random() < 0.1:
        _litter(folder, bench.rng)
    return folder


@cache
def _command() -> Callable[[list[str]], int]:
    """The `flare-trt` command; its parser is built once, which takes longer than most inputs do."""
    from flare_trt.engine.apps import cli

    cli.build_parser = cache(cli.build_parser)
    return cli.main


def _label_pair(data: bytes, bench: Bench) -> None:
    """A damaged label map against a sound one, as prediction or as reference, in folders with other things in them."""
    main = _command()

    folders = [bench.input / name for name in ("predictions", "references")]
    for folder in folders:
        folder.mkdir()
        (folder / "case.nii").write_bytes(seeds.label_maps()[0])
    (bench.rng.choice(folders) / "case.nii").write_bytes(data)
    if bench.rng.random() < 0.2:
        _litter(bench.rng.choice(folders), bench.rng)
    words = [*map(str, folders), "--csv", str(bench.output / "s.csv"), "--json", str(bench.output / "s.json")]
    if main(["evaluate", *words, "--protocol", bench.rng.choice(("flare23", "plain"))]) != 0:
        raise InputError("evaluate ended with an error of ours")
    json.loads((bench.output / "s.json").read_text())


def _litter(folder: Path, rng: random.Random) -> None:
    """Something in a folder of labels that is no label file."""
    place = folder / rng.choice(("x.nii", "x.nii.gz", ".nii", "case.nii.gz", "notes.txt", "é.nii"))
    kind = rng.randrange(4)
    if kind == 0:
        place.mkdir()
    elif kind == 1:
        place.symlink_to(rng.choice(("nowhere", "x.nii", ".", "/")))
    elif kind == 2:
        place.write_bytes(rng.randbytes(9))
    else:
        place.write_bytes(seeds.label_maps()[1])


def _bundle(data: bytes, bench: Bench) -> None:
    """A bundle.json with its networks and right checksums: opened and, where it opens, run on a small scan."""
    folder = bench.input / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_bytes(data)
    for name, network in seeds.bundle_networks().items():
        (folder / name).write_bytes(network)
    _run_bundle(folder, bench)


def _zipped_bundle(data: bytes, bench: Bench) -> None:
    (bench.input / "bundle.zip").write_bytes(data)
    _run_bundle(bench.input / "bundle.zip", bench)


def _run_bundle(path: Path, bench: Bench) -> None:
    from flare_trt.engine.model.options import RunOptions
    from flare_trt.engine.scans.image_files import read_ct
    from flare_trt.engine.segmenter import Segmenter

    (bench.input / "ct.nii").write_bytes(seeds.scans()[0])
    mode = bench.rng.choice(("exact", "fast"))
    with Segmenter.open(path, RunOptions(mode=mode, device="cpu", backend="fake", threads=1)) as segmenter:
        segmenter.segment(read_ct(bench.input / "ct.nii"), stop_long_work)


def _network(data: bytes, bench: Bench) -> None:
    """An ONNX file as a bundle opens it, then as a backend reads it, and one tile through it."""
    import numpy as np

    from flare_trt.engine.model.onnx_file import require_embedded_weights
    from flare_trt.engine.networks.session import SessionOptions, open_session

    file = bench.input / "fine.onnx"
    file.write_bytes(data)
    require_embedded_weights(file, "fine")
    session = open_session(bench.rng.choice(("native", "openvino", "onnxruntime")), file, SessionOptions(threads=1))
    if np.prod(session.input_shape) <= 10**6:
        session.run(np.zeros(session.input_shape, np.float32))
    session.close()


def _plans(data: bytes, bench: Bench) -> None:
    _model_folder(data, bench.rng.choice(seeds.datasets()), bench)


def _dataset(data: bytes, bench: Bench) -> None:
    _model_folder(bench.rng.choice(seeds.plans()), data, bench)


def _model_folder(plans: bytes, dataset: bytes, bench: Bench) -> None:
    """What `export` reads of a model folder before it builds the network."""
    from flare_trt.engine.model.spec import NetworkFile
    from flare_trt.export.configuration import architecture_of, configuration_of
    from flare_trt.export.json_file import read_object
    from flare_trt.export.stage import stage_of

    (bench.input / "plans.json").write_bytes(plans)
    (bench.input / "dataset.json").write_bytes(dataset)
    plans_json, dataset_json = (read_object(bench.input / f"{name}.json") for name in ("plans", "dataset"))
    configuration = configuration_of(plans_json, "3d_fullres")
    architecture_of(configuration)
    stage_of(plans_json, configuration, dataset_json, (NetworkFile("fine.onnx"),), None)


def _checkpoint(data: bytes, bench: Bench) -> None:
    from flare_trt.export.checkpoint import load_checkpoint

    (bench.input / "checkpoint_final.pth").write_bytes(data)
    load_checkpoint(bench.input / "checkpoint_final.pth")


@dataclass(frozen=True)
class _ShortRuns:
    """The segmenter for a server; much work ends like that of a server that goes down, with 503."""

    spec: Any

    def segment(self, ct: Any, progress: Any) -> Any:
        from flare_trt.engine.apps.serve.served_job import JobStopped

        def bounded(stage: str, done: int, total: int) -> None:
            if total > _MOST_TILES:
                raise JobStopped("stopped")
            progress(stage, done, total)

        return _segmenter().segment(ct, bounded)


def _http(data: bytes, bench: Bench) -> None:
    """The bytes of a connection to a running server; a quarter of the servers wants the token that most requests bear."""
    from tests.fuzz.http_server import send_connection

    from flare_trt.engine.apps.serve.steps import upload_steps
    from flare_trt.engine.model.options import RunOptions

    token = http_requests.TOKEN if bench.rng.random() < 0.25 else None
    send_connection(data, bench.output, upload_steps(_ShortRuns(_segmenter().spec), RunOptions()), token)


TARGETS = {
    "nifti": Target(seeds.scans, mutate.damaged_nifti, _scan, 2200),
    "gzip": Target(seeds.gzipped_scans, mutate.damaged_nifti, _scan, 900),
    "gzip-stream": Target(seeds.gzipped_scans, mutate.damaged, _scan, 1000),
    "dicom": Target(dicom_seeds.series_zips, dicom_damage.damaged_series, _series, 600),
    "meaning": Target(dicom_meaning.recipes, dicom_meaning.drawn, _meaning, 500, every_run=100),
    "http": Target(http_requests.connections, http_requests.damaged_connection, _http, 500),
    "labels": Target(seeds.label_maps, mutate.damaged_nifti, _label_pair, 900),
    "bundle": Target(seeds.bundle_specs, mutate.damaged_json, _bundle, 1600),
    "bundle-zip": Target(seeds.bundle_zips, mutate.damaged_zip, _zipped_bundle, 900),
    "onnx": Target(seeds.networks, mutate.damaged, _network, 500),
    "plans": Target(seeds.plans, mutate.damaged_json, _plans, 700),
    "dataset": Target(seeds.datasets, mutate.damaged_json, _dataset, 500),
    "checkpoint": Target(seeds.checkpoints, mutate.damaged, _checkpoint, 500),
    "checkpoint-zip": Target(lambda: seeds.checkpoints()[2::2], mutate.damaged_zip, _checkpoint, 300),
}
