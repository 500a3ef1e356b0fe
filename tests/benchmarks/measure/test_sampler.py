"""The loop with an injected reader, clock and command."""

from __future__ import annotations

import pytest

from flare_trt.benchmarks.measure.sampler import Sample, record
from flare_trt.benchmarks.measure.watched import Ending

ENDING = Ending(0, 1.5, 0)


class FakeTime:
    """A clock; `wall_jumps` maps a monotonic second to how far the wall clock is set there."""

    def __init__(self) -> None:
        self.now, self.wall_offset = 1000.0, 5e8

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset

    def machine_cpu(self) -> float:
        return 3 * self.now


class FakeProbe:
    """Each reading takes `cost_s` and gives the next value."""

    gpu_name = "Fake GPU"

    def __init__(self, clock: FakeTime, values: list[float | None], cost_s: float = 0.0) -> None:
        self._clock, self._values, self._cost_s = clock, values, cost_s
        self.gpu_problem: str | None = None

    def read(self, time_s: float) -> Sample:
        self._clock.now += self._cost_s
        value = self._values.pop(0) if self._values else None
        if value is None:
            self.gpu_problem = "NVML failed while sampling: GPU is lost"
        return Sample(time_s, gpu_device_mb=value)


class FakeCommand:
    """Ends after `waits` waits; `jump` is done at the second one."""

    def __init__(self, clock: FakeTime, waits: int, wall_jump_s: float = 0.0) -> None:
        self._clock, self._waits, self._jump = clock, waits, wall_jump_s

    def wait(self, seconds: float) -> Ending | None:
        self._clock.now += seconds
        self._clock.wall_offset += self._jump
        self._jump = 0.0
        self._waits -= 1
        return ENDING if self._waits <= 0 else None


def test_one_sample_before_each_wait_and_a_baseline_before_the_start() -> None:
    clock = FakeTime()
    found = record(lambda: FakeCommand(clock, 3), FakeProbe(clock, [7.0, 10.0, 20.0, 30.0]), clock, 0.1)
    assert found.baseline.gpu_device_mb == 7.0
    assert [sample.gpu_device_mb for sample in found.samples] == [10.0, 20.0, 30.0]
    assert [sample.time_s for sample in found.samples] == pytest.approx([0.0, 0.1, 0.2])
    assert found.wall_s == pytest.approx(0.3)
    assert found.machine_cpu_s == pytest.approx(0.9)
    assert found.ending == ENDING


def test_slow_readings_show_in_the_time_stamps() -> None:
    clock = FakeTime()
    found = record(lambda: FakeCommand(clock, 3), FakeProbe(clock, [0.0] * 4, cost_s=0.05), clock, 0.1)
    assert [sample.time_s for sample in found.samples] == pytest.approx([0.0, 0.15, 0.30])
    assert found.query_s == pytest.approx(0.05)


@pytest.mark.parametrize("jump_s", [-7200.0, 3600.0])
def test_a_moved_wall_clock_moves_no_sample_and_is_reported(jump_s: float) -> None:
    clock = FakeTime()
    found = record(lambda: FakeCommand(clock, 4, jump_s), FakeProbe(clock, [0.0] * 5), clock, 0.1)
    assert [sample.time_s for sample in found.samples] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert found.wall_s == pytest.approx(0.4)
    assert found.clock_step_s == pytest.approx(jump_s)
    assert found.started_at == pytest.approx(1000 + 5e8)


def test_a_command_that_ends_at_once_has_one_sample() -> None:
    clock = FakeTime()
    assert len(record(lambda: FakeCommand(clock, 1), FakeProbe(clock, [0.0, 1.0]), clock, 0.1).samples) == 1


def test_a_gpu_lost_in_between_ends_no_recording() -> None:
    clock = FakeTime()
    found = record(lambda: FakeCommand(clock, 4), FakeProbe(clock, [1.0, 2.0, 3.0]), clock, 0.1)
    assert [sample.gpu_device_mb for sample in found.samples] == [2.0, 3.0, None, None]
    assert "GPU is lost" in str(found.gpu_problem)
