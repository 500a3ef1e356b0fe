"""What is no Python goes into wheels too: pages, styles, and niivue where it has been fetched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flare_trt.engine.results.viewer.niivue import FILE

ROOT = Path(__file__).resolve().parents[1]


def test_a_build_holds_the_pages(tmp_path: Path) -> None:
    words = ["setup.py", "-q", "egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(tmp_path / "lib")]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
    engine = tmp_path / "lib" / "flare_trt" / "engine"
    wanted = ["results/html/report.css", *(f"results/viewer/static/viewer.{ending}" for ending in ("html", "css", "js"))]
    wanted += ["results/viewer/static/niivue-licence.md", *(["results/viewer/static/vendor/niivue.js"] if FILE.is_file() else [])]
    assert [name for name in wanted if not (engine / name).is_file()] == []
