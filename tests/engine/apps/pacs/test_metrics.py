"""What a worker counts, asked over HTTP as Prometheus does."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.engine.apps.pacs.clinic import free_port

pytest.importorskip("prometheus_client")

from flare_trt.engine.apps.pacs.metrics import Metrics
from flare_trt.engine.apps.pacs.study_queue import StudyQueue
from flare_trt.engine.base.errors import ServiceError


def asked(port: int) -> dict[str, float]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_counts_and_states(tmp_path: Path) -> None:
    queue, port = StudyQueue(tmp_path / "queue"), free_port()
    metrics = Metrics(queue)
    with metrics.served(("127.0.0.1", port)):
        for _ in range(3):
            metrics.image("kept")
        metrics.image("not_kept")
        metrics.rejected()
        metrics.run("segmented", 7.0)
        metrics.run("failed", 70.0)
        metrics.send("later")
        whole = queue.begin_delivery("a" * 32, "SCANNER")
        queue.end_delivery(whole.job, True, 0.0)
        half = queue.begin_delivery("b" * 32, "SCANNER")
        queue.end_delivery(half.job, False, 0.0)
        found = asked(port)
        queue.settle(0.0)
        assert asked(port)['flare_trt_studies{state="waiting"}'] == 1
        assert "SCANNER" not in str(found)
        with (
            pytest.raises(ServiceError, match=f"--metrics 127.0.0.1:{port}: Address already in use"),
            Metrics(queue).served(("127.0.0.1", port)),
        ):
            pass
    expected = {
        'flare_trt_images_total{outcome="kept"}': 3,
        'flare_trt_images_total{outcome="not_kept"}': 1,
        "flare_trt_rejected_senders_total": 1,
        'flare_trt_runs_total{outcome="failed"}': 1,
        "flare_trt_segmentation_seconds_count": 1,
        'flare_trt_segmentation_seconds_bucket{le="10.0"}': 1,
        'flare_trt_segmentation_seconds_bucket{le="5.0"}': 0,
        'flare_trt_sends_total{outcome="later"}': 1,
        'flare_trt_studies{state="received"}': 2,
        'flare_trt_studies_with_problem{state="received"}': 1,
        'flare_trt_studies{state="failed"}': 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["flare_trt_disk_free_bytes"] > 0
    assert found["flare_trt_resident_memory_bytes"] > 1e6
    with pytest.raises(httpx.ConnectError):
        asked(port)
