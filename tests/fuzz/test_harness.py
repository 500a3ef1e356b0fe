"""The harness finds what it is there for: planted faults, each reported once, with the inputs around it tried all the same."""

from __future__ import annotations

import pytest
from tests.fuzz.planted import BAD, TARGETS
from tests.fuzz.supervise import Range, fuzz

FOUND = {
    "crash": "ended with -11",
    "hang": "said nothing for 4 s",
    "spin": "took 1.",
    "allocate": "MemoryError: Unable to allocate 1.00 TiB",
    "touch": "resident memory grew by",
    "stray": "left ['stray'] outside of the output",
    "partial": "left ['.labels.nii.gz.1234.part'] in the output",
    "refused_with_output": "left ['labels.nii.gz'] in the output",
    "other_error": "ZeroDivisionError: not one of ours",
}


def test_each_planted_fault_has_a_word() -> None:
    assert FOUND.keys() == TARGETS.keys()


#: What every run plants; the others are planted at night.
EVERY_RUN = ("crash", "partial")


@pytest.mark.parametrize("name", [name if name in EVERY_RUN else pytest.param(name, marks=pytest.mark.nightly) for name in FOUND])
def test_a_planted_fault_is_found(name: str) -> None:
    """Each child counts its own inputs, so a fresh one behind a fault meets no second one in a range this short."""
    tally = fuzz(Range(name, "0", 0, BAD + 3, table="tests.fuzz.planted", silence_s=4.0 if name == "hang" else 60.0))
    assert [(fault.index, FOUND[name] in fault.detail) for fault in tally.faults] == [(BAD, True)], tally.faults
    assert tally.inputs == BAD + 3
    if name in ("crash", "hang"):
        assert "comes back after the 3 inputs before it" in tally.faults[0].detail
