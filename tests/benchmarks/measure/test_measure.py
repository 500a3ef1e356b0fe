"""Real commands: ends of every kind, children and orphans, phase marks, a stand-in for the GPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.benchmarks.measure.fake_nvml import build_fake_nvml

from flare_trt.benchmarks.measure.measure import Measurement, MeasureOptions, measure
from flare_trt.engine.base.errors import FlareError, InputError

QUICK = MeasureOptions(interval_s=0.02)
HOLD = "import time; held = bytearray({mb} << 20); time.sleep({seconds})"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def shell(text: str) -> Measurement:
    return measure(["sh", "-c", text], QUICK)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "kill -SEGV $$"], 139),
        (python("raise MemoryError"), 1),
    ],
)
def test_the_commands_own_exit_code(command: list[str], code: int) -> None:
    found = measure(command, QUICK)
    assert found.exit_code == code
    assert len(found.samples["time_s"]) >= 1
    assert found.memory["tree_rss"].complete


def test_memory_time_and_cpu_of_a_command() -> None:
    found = measure(python(HOLD.format(mb=150, seconds=0.4)), QUICK)
    assert 150 < found.memory["tree_rss"].peak_mb < 250
    assert 0 < found.memory["tree_pss"].peak_mb <= found.memory["tree_rss"].peak_mb
    assert found.memory["tree_rss"].true_mb_s > 150 * 0.4
    assert found.wall_s > 0.4
    assert found.cpu_s > 0
    assert found.memory["host_used"].peak_mb > found.memory["tree_pss"].peak_mb


def test_cpu_time_of_other_programs_is_told_from_the_commands() -> None:
    burn = "import time; t = time.process_time(); exec('while time.process_time() - t < {}: pass')"
    with subprocess.Popen(python(burn.format(60))) as other:
        found = measure(["sleep", "1"], QUICK)
        other.kill()
    busy = measure(python(burn.format(0.5)), QUICK)
    assert found.cpu_s < 0.5
    assert found.others_share * (os.cpu_count() or 1) * found.wall_s > 0.1
    assert 0 <= busy.others_share <= 1


def test_children_are_counted() -> None:
    child = "import sys; held = bytearray(100 << 20); print(flush=True); sys.stdin.read()"
    start = f"Popen([sys.executable, '-c', {child!r}], stdin=PIPE, stdout=PIPE)"
    both = f"import sys, time; from subprocess import *; both = [{start} for _ in 'ab']"
    code = f"{both}; [process.stdout.readline() for process in both]; time.sleep(0.5)"
    assert measure(python(code), QUICK).memory["tree_rss"].peak_mb > 200


def test_orphans_of_a_double_fork_into_another_session_are_counted(tmp_path: Path) -> None:
    found = measure_orphan(tmp_path, "held = bytearray(120 << 20); open(sys.argv[1], 'w').close(); time.sleep(3)")
    assert found.memory["tree_rss"].peak_mb > 120
    assert found.left_running == 1


def test_cpu_time_of_an_orphan_that_has_ended_counts(tmp_path: Path) -> None:
    burn = "exec('while time.process_time() < 0.4: pass'); open(sys.argv[1], 'w').close()"
    found = measure_orphan(tmp_path, burn)
    assert found.cpu_s >= 0.4
    assert found.left_running == 0


def measure_orphan(folder: Path, code: str) -> Measurement:
    """A command that leaves a daemon behind, and ends half a second after the daemon says that it is ready."""
    ready = folder / "ready"
    daemon = f'setsid {sys.executable} -c "import sys, time; {code}" {ready}'
    return shell(f"({daemon} &) ; while [ ! -e {ready} ]; do sleep 0.05; done; sleep 0.5")


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no-such-program"):
        measure(["no-such-program"])
    with pytest.raises(InputError, match="nothing"):
        measure([])


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flare_trt.benchmarks.base.extra.find_spec", lambda name: None)
    with pytest.raises(FlareError, match=r"psutil.*pip install 'flare-trt\[bench\]'"):
        measure(["true"])


def test_stage_marks_are_read_and_placed() -> None:
    mark = "import json, os, time; t = time.time(); time.sleep(0.2); f = open(os.environ['FLARE_TRT_STAGES'], 'a'); "
    write = "f.write(json.dumps({'stage': 'load', 'start_s': t, 'stop_s': time.time()}) + '\\n{half')"
    found = measure(python(mark + write), QUICK)
    (stage,) = found.stages
    assert stage.name == "load"
    assert 0 < stage.start_s < stage.stop_s < found.wall_s
    assert stage.stop_s - stage.start_s >= 0.2
    assert any("line 2" in problem for problem in found.problems)


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in build_fake_nvml(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAKE_NVML_FAIL", "nvmlInit:9")
    found = measure(["true"], QUICK)
    assert (found.exit_code, found.gpu_name) == (0, None)
    assert "gpu_device" not in found.memory
    assert any("no NVML device 0" in problem for problem in found.problems)
    json.dumps(found.document())


def test_gpu_memory_of_device_and_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in build_fake_nvml(tmp_path).items():
        monkeypatch.setenv(name, value)
    state = tmp_path / "state"
    state.write_text(str(1 << 30))
    found = shell(f"echo {6 << 30} $$ {5 << 30} > {state}; sleep 0.5")
    assert found.gpu_name == "Fake GPU"
    device, own = found.memory["gpu_device"], found.memory["gpu_tree"]
    assert (device.peak_mb, own.peak_mb) == (6144, 5120)
    assert device.above_tolerance_mb == 2048
    assert device.true_mb_s - device.above_baseline_mb_s == pytest.approx(1024 * found.wall_s, rel=0.01)
    assert device.official_mb_s == pytest.approx(sum(v or 0 for v in found.samples["gpu_device_mb"]) * 0.02)


def test_a_gpu_lost_in_mid_run_leaves_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in build_fake_nvml(tmp_path).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "state").write_text(str(1 << 30))
    monkeypatch.setenv("FAKE_NVML_FAIL", "nvmlDeviceGetMemoryInfo:15:4")
    found = measure(["sleep", "0.4"], QUICK)
    assert not found.memory["gpu_device"].complete
    assert found.memory["tree_rss"].complete
    assert any("failed while sampling" in problem for problem in found.problems)
    assert found.exit_code == 0


@pytest.mark.parametrize(("target", "expected"), [("group", 128 + signal.SIGINT), ("parent", None)])
def test_interrupt_and_termination_reach_the_command(tmp_path: Path, target: str, expected: int | None) -> None:
    """A terminal's interrupt goes to the whole group and the measurement is still reported; if the measuring process is
    killed, the command ends too."""
    code = (
        "import sys; from flare_trt.benchmarks.measure.measure import measure; "
        f"found = measure([{sys.executable!r}, '-c', {MARKED_SLEEP!r}, sys.argv[1]]); sys.exit(found.exit_code)"
    )
    marker = tmp_path / "pid"
    process = subprocess.Popen([*python(code), str(marker)], start_new_session=True, stderr=subprocess.DEVNULL)
    pid = int(_wait_for(marker))
    if target == "group":
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == expected
    else:
        process.kill()
        process.wait(30)
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the measured command is still running")


MARKED_SLEEP = (
    "import os, signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "open(sys.argv[1], 'w').write(f'{os.getpid()} '); time.sleep(60)"
)


def _wait_for(path: Path) -> str:
    for _ in range(300):
        if path.exists() and path.read_text().endswith(" "):
            return path.read_text()
        time.sleep(0.1)
    pytest.fail(f"{path} never came")
