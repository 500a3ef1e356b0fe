"""Damaged inputs, the same each time, and every input that is kept: each ends in a result or in one of our errors.

Ten thousand at night, a twentieth of them in every run.
"""

from __future__ import annotations

import pytest
from tests.fuzz.supervise import Range, fuzz
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import kept_inputs

SEED = "ci"


def test_there_are_ten_thousand() -> None:
    assert sum(target.inputs for target in TARGETS.values()) >= 10_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_twentieth_of_them(name: str) -> None:
    target = TARGETS[name]
    kept, fresh = len(kept_inputs(name, target)), target.every_run or target.inputs // 20
    tally = fuzz(Range(name, SEED, -kept, fresh))
    assert tally.faults == []
    assert tally.inputs == kept + fresh


@pytest.mark.nightly
@pytest.mark.parametrize("name", TARGETS)
def test_each_input_ends_in_a_result_or_in_one_of_our_errors(name: str) -> None:
    target = TARGETS[name]
    tally = fuzz(Range(name, SEED, -len(kept_inputs(name, target)), target.inputs))
    assert tally.faults == []
    assert tally.inputs == target.inputs + len(kept_inputs(name, target))
    refused = sum(count for ended, count in tally.ended.items() if ended.endswith("Error"))
    assert refused > target.inputs / 20, tally.ended  # damage that is never seen says nothing
    if name != "gzip-stream":  # whose checksum sees almost all
        assert tally.ended["result"] > target.inputs / 50, tally.ended  # nor does a door that is always shut


@pytest.mark.parametrize("name", ["nifti", "labels", "bundle", "bundle-zip", "plans", "dataset"])
def test_the_same_seed_makes_the_same_inputs(name: str) -> None:
    from tests.fuzz.worker import input_bytes

    first = [input_bytes(name, TARGETS[name], SEED, index) for index in range(20)]
    assert first == [input_bytes(name, TARGETS[name], SEED, index) for index in range(20)]
    assert len(set(first)) > 15
