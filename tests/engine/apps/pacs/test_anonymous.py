"""What may be said of a study."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path

import pydicom

from flare_trt.engine.apps.pacs.anonymous import hashed_uid, silenced, told_fault, told_problem
from flare_trt.engine.base.errors import InputError


def test_problems_name_no_uid_and_no_folder() -> None:
    folder = Path("queue") / "studies" / "000001"
    error = InputError(f"{folder}/images: got 2 CT series, expected one:\n  1.2.840.10008.1.2: number 4, version 2025.1.0")
    assert told_problem(error, folder) == (
        f"images: got 2 CT series, expected one:\n  #{hashed_uid('1.2.840.10008.1.2')[:8]}: number 4, version 2025.1.0"
    )
    assert told_problem(MemoryError(), folder) == "MemoryError"


def test_a_fault_is_told_by_kind_and_place_alone() -> None:
    try:
        int("DOE^JANE")
    except ValueError as error:
        told = told_fault(error)
    assert re.fullmatch(r"a fault of the program, ValueError at test_anonymous\.py, line \d+", told)


def test_libraries_keep_their_values_to_themselves() -> None:
    level = logging.getLogger("pydicom").level
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with silenced():
            pydicom.Dataset().PatientName = "x" * 100
            pydicom.Dataset().PatientBirthDate = "Jane Doe"
    assert warned == []
    assert logging.getLogger("pydicom").level == level
