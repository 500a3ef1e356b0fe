"""Injects every fault as often as the table says and writes what happened into docs/reliability.md."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from tests.faults.setting import ROOT
from tests.faults.table import FAULTS

PAGE = ROOT / "docs" / "reliability.md"


def main() -> None:
    rows = ["| fault | times | what happened |", "|---|---|---|"]
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(f"| {fault.name} | {fault.times} | {fault.inject(Path(folder), fault.times)} |")
        sys.stderr.write(f"{rows[-1]}\n")
    PAGE.write_text(rewritten(PAGE.read_text(), "faults", "\n".join(rows)))


def rewritten(page: str, section: str, text: str) -> str:
    """The page with what stands between <!-- section --> and <!-- end --> replaced. Raises ValueError where there is no such."""
    marks = re.compile(rf"(<!-- {section} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marks.search(page):
        raise ValueError(f"{PAGE.name}: no section <!-- {section} -->")
    return marks.sub(lambda found: found[1] + text + "\n" + found[2], page)


if __name__ == "__main__":
    main()
