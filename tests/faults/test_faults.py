"""Each fault of the table a few times: files are whole or absent, errors are ours, a resumed batch repeats nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.faults.__main__ import rewritten
from tests.faults.setting import ROOT
from tests.faults.table import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.inject.__name__)
def test_fault(fault: Fault, tmp_path: Path) -> None:
    assert fault.inject(tmp_path, fault.times_in_tests)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("read_", "write_"))]


def test_the_page_holds_a_row_for_each_fault() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert [fault.name for fault in FAULTS if f"| {fault.name} |" not in page] == []


def test_a_section_is_rewritten_and_the_rest_is_kept() -> None:
    tail = "<!-- end -->\n\n<!-- endurance -->\nkept\n<!-- end -->\n"
    for page in (f"# Title\n\n<!-- faults -->\nold\nrows\n{tail}", f"# Title\n\n<!-- faults -->\n{tail}"):
        assert rewritten(page, "faults", "new") == f"# Title\n\n<!-- faults -->\nnew\n{tail}"
    with pytest.raises(ValueError, match="no section <!-- other -->"):
        rewritten(page, "other", "new")
