"""How a cluster is divided, and a whole batch on a local Ray with two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.engine.apps.serve.live import until
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.cli import main
from flare_trt.engine.apps.cluster.ray_pool import Share, share_of
from flare_trt.engine.base.errors import ServiceError
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.segmenter import Segmenter

ROOT = Path(__file__).resolve().parents[4]
SCANS = 6


def node(alive: bool = True, **resources: float) -> dict[str, object]:
    return {"Alive": alive, "Resources": resources}


CPU, CUDA = RunOptions(device="cpu"), RunOptions(device="cuda:0")


@pytest.mark.parametrize(
    ("nodes", "options", "share"),
    [
        ([node(CPU=8), node(CPU=8)], RunOptions(), Share(2, 8, 0, RunOptions(device="cpu", threads=8))),
        ([node(CPU=8), node(CPU=20)], CPU, Share(3, 8, 0, RunOptions(device="cpu", threads=8))),
        ([node(CPU=8), node(CPU=3)], RunOptions(threads=2), Share(5, 2, 0, RunOptions(device="cpu", threads=2))),
        ([node(CPU=8, GPU=4), node(CPU=8), node(CPU=8, GPU=4, alive=False)], RunOptions(), Share(4, 1, 1, CUDA)),
        ([node(CPU=8, GPU=4), node(CPU=4)], CPU, Share(3, 4, 0, RunOptions(device="cpu", threads=4))),
        ([node(CPU=8, GPU=1), node(CPU=8, GPU=2)], CUDA, Share(3, 1, 1, CUDA)),
    ],
)
def test_one_worker_a_device(nodes: list[dict[str, object]], options: RunOptions, share: Share) -> None:
    assert share_of(nodes, options) == share


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CUDA, "the Ray cluster has no GPU"),
        (RunOptions(device="cuda:1"), "got cuda:1 on a Ray cluster"),
        (RunOptions(threads=9), "no node with 9 CPUs"),
    ],
)
def test_what_the_cluster_has_not(options: RunOptions, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        share_of([node(CPU=8)], options)


#: A Ray with two CPUs, in a process of its own: where Ray fails it ends its process.
CLUSTER = """
import sys, ray
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
print("address", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
ray.shutdown()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray of this test's own."""
    pytest.importorskip("ray")
    environment = {
        "PYTHONPATH": f"{ROOT / 'build' / 'typing'}:{ROOT}",  # the second for the metadata that lies in a checkout
        "RAY_AUTH_MODE": "token",  # one of this test's own: Ray would write one to the home folder
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "120",
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with subprocess.Popen([sys.executable, "-c", CLUSTER], text=True, **pipes) as ray:
            assert ray.stdin is not None
            assert ray.stdout is not None
            told: list[str] = []
            while (line := ray.stdout.readline()) and not line.startswith("address "):
                told.append(line)
            assert line, "".join(told)
            yield line.split()[1]
            ray.stdin.close()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_bundle(tmp_path_factory.mktemp("model") / "fake", fake_spec())


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Scans of odd sizes, a second or so each; the last one is damaged."""
    folder = tmp_path / "scans"
    folder.mkdir()
    random = np.random.default_rng(6)
    for number in range(SCANS):
        hu = random.normal(0, 300, (33 + number, 121, 109)).astype("<i2")
        write_raw(folder / f"case{number}.nii.gz", hu, AXIAL)
    (folder / "case9.nii.gz").write_bytes(b"junk")
    return folder


def is_worker(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("ray::ScanWorker") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers() -> list[psutil.Process]:
    """Processes of this test's Ray that hold a worker of ours."""
    return [process for process in psutil.Process().children(recursive=True) if is_worker(process)]


def test_a_killed_worker_loses_nothing(cluster: str, bundle: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["segment", "scans", "-o", "out", "--report", "reports", "--model", str(bundle), "--device", "cpu", "--backend", "fake"]
    words += ["--threads", "1", "--ray", cluster]
    batch = [sys.executable, "-m", "flare_trt.engine", *words]
    running = subprocess.Popen(batch, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: running.poll() is not None or len(list(out.glob("*.nii.gz"))) >= 2, limit_s=120)
    both = workers()
    assert len(both) == 2
    os.kill(both[0].pid, signal.SIGKILL)
    told, complained = running.communicate(timeout=100)
    assert running.returncode == 1, complained  # the damaged scan
    assert told.splitlines()[-1] == f"{SCANS} of {SCANS + 1} scans segmented, 1 failed"
    outcomes = [line for line in told.splitlines() if line.startswith("out/")]  # Ray too tells of the dead worker
    assert sorted(line.split(":")[0] for line in outcomes) == [f"out/case{n}.nii.gz" for n in range(SCANS)]
    assert [line for line in complained.splitlines() if "failed" in line] == [
        line for line in complained.splitlines() if line.startswith("flare-trt: case9.nii.gz failed: scans/case9.nii.gz: ")
    ]
    with Segmenter.open(bundle, RunOptions(device="cpu", backend="fake", threads=1)) as segmenter:
        for number in range(SCANS):
            expected = segmenter.segment(read_ct(scans / f"case{number}.nii.gz")).labels
            np.testing.assert_array_equal(read_labels(out / f"case{number}.nii.gz").array, expected.array)
            assert json.loads((tmp_path / "reports" / f"case{number}.json").read_text())["scan"] == f"case{number}.nii.gz"
    assert len([path for path in out.iterdir() if not path.name.startswith(".")]) == SCANS

    before = {path: path.stat().st_mtime_ns for path in out.glob("case*")}
    (out / "case3.nii.gz").unlink()
    again = subprocess.run([*batch, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"{SCANS - 1} of {SCANS + 1} scans are finished already" in again.stdout
    after = {path: path.stat().st_mtime_ns for path in out.glob("case*")}
    assert [path.name for path in before if after[path] != before[path]] == ["case3.nii.gz"]
    until(lambda: workers() == [])  # everything was given back


def test_no_node_has_the_model(cluster: str, scans: Path, tmp_path: Path) -> None:
    words = [
        "segment",
        str(scans),
        "-o",
        str(tmp_path / "out"),
        "--model",
        "none",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--ray",
        cluster,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "flare_trt.engine", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "flare-trt: bundle: none does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cluster(bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", str(scans), "-o", str(tmp_path / "out"), "--model", str(bundle), "--ray", "nonsense"]
    assert main(words) == 1
    assert "--ray nonsense: there is no Ray cluster to be reached" in capsys.readouterr().err
