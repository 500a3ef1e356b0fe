"""The series of a folder: in the order of their UIDs, each in one line, and what keeps one from being read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.plane import Unusable
from flare_trt.engine.scans.dicom.series import all_series, choose_series, find_series, require_one_source


def test_series_are_in_the_order_of_their_uids_each_in_one_line(tmp_path: Path) -> None:
    def magnetic(header: Any, z: int) -> None:
        header.SOPClassUID, header.Modality = "1.2.840.10008.5.1.4.1.1.4", "MR"

    def without_rows(header: Any, z: int) -> None:
        header.SeriesNumber = 12
        del header.Rows

    write_series(tmp_path / "a", small_ct((1, 5, 7)), Look(series_uid="1.2.9", spacing_mm=(2.5, 0.75, 0.6875)))
    write_series(tmp_path / "b", small_ct((3, 5, 7)), Look(series_uid="1.2.3", change=without_rows))
    write_series(tmp_path / "c", small_ct((2, 5, 7)), Look(series_uid="1.2.5", change=magnetic))
    every = all_series(tmp_path)
    assert [(one.uid, len(one.planes), one.left_out) for one in every] == [
        ("1.2.3", 0, ()),
        ("1.2.5", 0, (("of modality MR", 2),)),
        ("1.2.9", 1, ()),
    ]
    assert [one.told for one in find_series(tmp_path)] == [
        "1.2.3: number 12, CT, 3 images that cannot be used",
        "1.2.9: number 4, CT, 1 slices, spacing - x 0.75 x 0.6875 mm (z, y, x)",
    ]
    with pytest.raises(InputError, match="holds no CT series that can be segmented: got 2 images of modality MR; name a folder"):
        find_series(tmp_path / "c")


def test_images_of_several_patients_and_missing_parts_are_refused(tmp_path: Path) -> None:
    series = choose_series(write_series(tmp_path, small_ct((3, 5, 7))), None)
    assert (series.patients, series.studies, series.parts) == (1, 1, 0)
    require_one_source(series)
    for changed, message in (
        (replace(series, patients=2), "got images of 2 patients in one series, expected one"),
        (replace(series, studies=3), "got images of 3 studies in one series, expected one"),
        (replace(series, parts=2), r"2 files of an enhanced CT in several files \(a concatenation\) are not there"),
        (replace(series, unusable=(Unusable(1, "no rows"),)), r"file 2 of 3 \(in name order\): no rows"),
    ):
        with pytest.raises(InputError, match=message):
            require_one_source(changed)


def test_patients_and_studies_are_counted_without_those_that_lack_a_name(tmp_path: Path) -> None:
    def mixed(header: Any, z: int) -> None:
        header.PatientID = ("", "first", "second", "first")[z]
        header.StudyInstanceUID = ("1.1", "1.2", "1.3", "1.3")[z]

    (series,) = find_series(write_series(tmp_path, small_ct((4, 5, 7)), Look(change=mixed)))
    assert (series.patients, series.studies) == (2, 3)
