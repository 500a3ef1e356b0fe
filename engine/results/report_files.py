"""The file of a report: JSON, or a page, by its ending."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.base.files import atomic_file, write_json
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.preview import Pictures
from flare_trt.engine.results.scan_report import ScanReport, is_page


def write_report(path: Path, report: ScanReport, colours: tuple[LabelSpec, ...], pictures: Pictures | None) -> tuple[str, ...]:
    """Write the report: JSON, or one self-contained HTML file by its ending, with what pictures there are. Raises OutputError."""
    if not is_page(path):
        write_json(path, report.as_json())
        return ()
    from flare_trt.engine.results.html.page import report_page

    with atomic_file(path) as file:
        file.write(report_page(report, colours, pictures).encode())
    return ()
