"""A server under a little load, and what is called sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engine.tiny_bundle import write_tiny_bundle

from flare_trt.benchmarks.studies.service_load import ServiceLoad, load_service
from flare_trt.benchmarks.studies.service_load_cli import is_sound, table
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.nifti import write_ct

pytest.importorskip("uvicorn")
pytest.importorskip("psutil")

SOUND = ServiceLoad(8, 2.0, {200: 30, 429: 4}, 0, 0, 0.2, 0.9, (100.0, 101.0))


@pytest.mark.nightly
def test_every_request_is_answered_or_refused(tmp_path: Path) -> None:
    scans = [tmp_path / f"phantom{seed}.nii.gz" for seed in range(2)]
    for seed, scan in enumerate(scans):
        write_ct(scan, make_phantom(seed, (19 + seed, 23, 21), (9.0, 14.0, 15.0))[0])
    found = load_service(write_tiny_bundle(tmp_path / "tiny"), scans, clients=24, seconds=3.0)
    assert is_sound(found), table(found)
    assert found.rss_mb[0] > 10


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(FlareError, match="did not start"):
        load_service(tmp_path / "no bundle", [], 1, 1.0)


def test_what_is_called_sound() -> None:
    changes: tuple[dict[str, Any], ...] = ({"lost": 1}, {"wrong": 1}, {"answers": {200: 3, 500: 1}}, {"answers": {429: 9}})
    assert is_sound(SOUND)
    assert not any(is_sound(replace(SOUND, **change)) for change in changes)
    assert "| answered 429 | 4 |" in table(SOUND)
