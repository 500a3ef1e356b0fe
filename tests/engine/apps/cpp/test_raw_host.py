"""C++ programs with Python inside: the labels of the command line, threads, errors, a host that runs Python itself."""

from __future__ import annotations

import ctypes
import json
import re
import threading
import venv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.apps.cpp.hosts import ROOT, build, run
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.tiny_bundle import LABELS, write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base import errors
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.engine.segmenter import Segmenter

#: The grid of raw_host.cpp: x runs to the right.
GRID = Grid((31, 37, 43), (2.5, 1.75, 1.5), (-20.5, 30.0, 7.0), ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))


@pytest.fixture(scope="module")
def ct() -> Volume:
    return Volume(make_phantom(3, GRID.shape_zyx, (12.0, 10.0, 9.0))[0].array, GRID)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(Path(__file__).parent, tmp_path_factory.mktemp("hosts"))


def words(folder: Path, ct: Volume, bundle: Path, backend: str) -> list[object]:
    """The arguments of raw_host after the task."""
    (folder / "ct.raw").write_bytes(ct.array.tobytes())
    return [bundle, backend, folder / "ct.raw", *ct.grid.shape_zyx[::-1], folder / "labels.raw"]


def test_a_program_gives_the_labels_of_the_command_line(hosts: Path, tmp_path: Path, ct: Volume) -> None:
    bundle = write_tiny_bundle(tmp_path / "model")
    done = run(hosts / "raw_host", "segment", *words(tmp_path, ct, bundle, "openvino"))
    assert (done.returncode, done.stderr) == (0, "")
    *names, report = done.stdout.splitlines()
    assert names == [f"{label.value} {label.name}" for label in LABELS]
    assert json.loads(report)["backend"] == "openvino"
    scan, reference = tmp_path / "ct.nii.gz", tmp_path / "reference.nii.gz"
    write_ct(scan, ct)
    assert main(["segment", str(scan), "-o", str(reference), "--model", str(bundle), "--device", "cpu"]) == 0
    expected = read_labels(reference).array
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(np.fromfile(tmp_path / "labels.raw", np.uint8).reshape(expected.shape), expected)


def test_labels_above_255_come_as_two_bytes(hosts: Path, tmp_path: Path, ct: Volume) -> None:
    model = fake_spec()
    labels = (*model.labels[:3], replace(model.labels[3], value=300))
    spec = replace(model, labels=labels, fine=replace(model.fine, channel_values=(0, 1, 2, 3, 300), orientation="SPR"))
    bundle = fake_bundle(tmp_path / "model", spec)
    done = run(hosts / "raw_host", "wide", *words(tmp_path, ct, bundle, "fake"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "InputError: labels: got a model with labels above 255, expected at most 255 for one byte a voxel"
    )
    with Segmenter.open(bundle, RunOptions(device="cpu", backend="fake")) as segmenter:
        expected = segmenter.segment(ct).labels.array
    assert expected.max() == 300
    np.testing.assert_array_equal(np.fromfile(tmp_path / "labels.raw", np.uint16).reshape(expected.shape), expected)


@pytest.mark.nightly
def test_threads_of_a_program_share_a_segmenter(hosts: Path, tmp_path: Path, ct: Volume) -> None:
    done = run(hosts / "raw_host", "threads", *words(tmp_path, ct, write_tiny_bundle(tmp_path / "model"), "openvino"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "threads agree\n", "")


def require_each_error(output: str) -> None:
    for pattern in [
        r"InputError: scan: got strides of \(1, 44, 1591\) voxels \(x, y, z\), expected \(1, 43, 1591\): no gaps",
        r"InputError: scan: got a null pointer",
        r"InputError: grid: got spacing \(0.0, 1.75, 1.5\) mm, expected three positive numbers; correct the header",
        r"InputError: grid: got shape \(31, 37, -3\)",
        r"InputError: labels: got a buffer of 49320 labels, expected 49321: one for each voxel",
        r"BundleError: bundle: no/such/model does not exist, expected a bundle's folder or a zip of it",
        r"DeviceError: backend: got 'nonesuch'",
        r"BudgetError: .*at least",
        r"PythonError: ZeroDivisionError: division by zero",
    ]:
        assert re.search(rf"^{pattern}", output, re.MULTILINE), pattern


@pytest.mark.nightly
def test_errors_carry_the_engine_s_words(hosts: Path, tmp_path: Path, ct: Volume) -> None:
    done = run(hosts / "raw_host", "errors", *words(tmp_path, ct, write_tiny_bundle(tmp_path / "model"), "openvino"))
    assert (done.returncode, done.stderr) == (0, "")
    require_each_error(done.stdout)


@pytest.mark.nightly
def test_a_python_without_the_package_or_without_anything_is_told(hosts: Path, tmp_path: Path) -> None:
    missing = run(hosts / "raw_host", "no-python", tmp_path / "bin" / "python", PYTHONHOME=str(tmp_path))
    assert missing.returncode == 0, missing.stderr
    assert missing.stdout.startswith(f"PythonError: Python: {tmp_path}/bin/python cannot be started (")
    venv.create(tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    bare = run(hosts / "raw_host", "no-python", python, PYTHONPATH="")
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout.startswith(f"PythonError: Python: {python} cannot import what is needed; pip install flare-trt there\n")


@pytest.mark.nightly
def test_a_library_in_a_python_process_runs_in_its_threads(hosts: Path, tmp_path: Path, ct: Volume) -> None:
    """By a call that holds the GIL (PyDLL) and by calls without it (CDLL), from several threads."""
    bundle = fake_bundle(tmp_path / "model", fake_spec(coarse=True))
    plain = Volume(ct.array, Grid(ct.grid.shape_zyx, (2.5, 1.5, 1.5)))
    with Segmenter.open(bundle, RunOptions(device="cpu", backend="fake")) as segmenter:
        expected = segmenter.segment(plain).labels.array
    size = (ctypes.c_int64 * 3)(*ct.grid.shape_zyx[::-1])

    def call(library: ctypes.CDLL, labels: np.ndarray, model: Path) -> tuple[int, str]:
        message = ctypes.create_string_buffer(1000)
        code = library.segment(str(model).encode(), ct.array.ctypes, size, labels.ctypes, message)
        return code, message.value.decode()

    found = [np.zeros(ct.grid.shape_zyx, np.uint8) for _ in range(4)]
    free, holding = ctypes.CDLL(str(hosts / "libplugin.so")), ctypes.PyDLL(str(hosts / "libplugin.so"))
    threads = [threading.Thread(target=call, args=(free, labels, bundle)) for labels in found[1:]]
    for thread in threads:
        thread.start()
    assert call(holding, found[0], bundle) == (0, "")
    for thread in threads:
        thread.join()
    for labels in found:
        np.testing.assert_array_equal(labels, expected)
    code, message = call(free, found[0], tmp_path / "nothing")
    assert (code, message) == (1, f"bundle: {tmp_path}/nothing does not exist, expected a bundle's folder or a zip of it")


@pytest.mark.nightly
def test_the_header_is_clean_under_the_sanitisers(tmp_path: Path, ct: Volume) -> None:
    """Leaks are not looked for: Python keeps its own until the end, and is never ended."""
    hosts = build(Path(__file__).parent, tmp_path / "build", "-DSANITISE=address,undefined")
    bundle = fake_bundle(tmp_path / "model", fake_spec())
    strict = {
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1",
        "PYTHONMALLOC": "malloc",
    }
    for task in ("segment", "threads", "errors"):
        done = run(hosts / "raw_host", task, *words(tmp_path, ct, bundle, "fake"), **strict)
        assert (done.returncode, done.stderr) == (0, ""), f"{task}: {done.stderr}"


def test_the_exceptions_are_those_of_the_engine() -> None:
    header = (ROOT / "engine" / "apps" / "cpp" / "include" / "flare_trt" / "errors.hpp").read_text(encoding="utf-8")
    python = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.FlareError)}
    cpp = set(re.findall(r"^class (\w+) :", header, re.MULTILINE))
    assert cpp - {"Error", "PythonError"} == python - {"FlareError"}
    translated = (ROOT / "engine" / "apps" / "cpp" / "include" / "flare_trt" / "python.hpp").read_text(encoding="utf-8")
    assert set(re.findall(r'\{"(\w+)", raise<', translated)) == python
