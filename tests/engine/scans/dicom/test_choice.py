"""Which series of a study is opened: the only one, one by its UID, or one by rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.scans.dicom.series_files import small_ct, write_series
from tests.engine.scans.dicom.test_facts import named

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice


def test_a_study_is_opened_by_rules(tmp_path: Path) -> None:
    thick = small_ct((5, 11, 9))
    write_series(tmp_path / "a", thick, named("1.2.1", 1, spacing_mm=(5.0, 0.8, 0.7)))
    write_series(tmp_path / "b", small_ct((9, 11, 9)), named("1.2.2", 2, spacing_mm=(2.0, 0.8, 0.7)))
    reader = SeriesChoice(rules=("thinnest",)).open(tmp_path)
    assert (reader.series.uid, reader.grid.shape_zyx) == ("1.2.2", (9, 11, 9))
    assert SeriesChoice("1.2.1").open(tmp_path).grid.shape_zyx == (5, 11, 9)
    with pytest.raises(InputError, match="got 2 CT series, expected one"):
        ONLY_SERIES.open(tmp_path)
    assert ONLY_SERIES.open(tmp_path / "b").series.uid == "1.2.2"
    with pytest.raises(InputError, match=f"{tmp_path}: --pick portal-venous: keeps none"):
        SeriesChoice(rules=("portal-venous",)).open(tmp_path)
    with pytest.raises(InputError, match="got --series and --pick"):
        SeriesChoice("1.2.1", ("thinnest",))
