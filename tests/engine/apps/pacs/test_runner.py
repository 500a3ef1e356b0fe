"""What a run of a study takes from the options that the model was opened with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.apps.serve.live import GatedSegmenter
from tests.engine.scans.dicom.series_files import small_ct, write_series

from flare_trt.engine.apps.pacs.metrics import Metrics
from flare_trt.engine.apps.pacs.runner import Making, Runner
from flare_trt.engine.apps.pacs.study_queue import StudyQueue
from flare_trt.engine.model.options import RunOptions


@pytest.mark.parametrize(("threads", "ahead"), [(0, 1), (1, 0)])
def test_one_thread_unpacks_nothing_ahead(tmp_path: Path, unpacked_ahead: list[object], threads: int, ahead: int) -> None:
    queue, segmenter = StudyQueue(tmp_path), GatedSegmenter()
    segmenter.open_gate()
    received = queue.begin_delivery("study", "sender")
    write_series(received.images, small_ct())
    queue.end_delivery(received.job, True, 0.0)
    queue.settle(0)
    study = queue.take()
    assert study is not None
    Runner(queue, segmenter, RunOptions(threads=threads), Making(("seg",)), Metrics(queue)).run(study, lambda *progress: None)
    queue.close()
    assert (study.results / "seg.dcm").exists()
    assert len(unpacked_ahead) == ahead


@pytest.mark.parametrize(
    ("options", "at_once"),
    [(RunOptions(), 2), (RunOptions(max_memory_mb=1500), 1), (RunOptions(threads=1), 1), (RunOptions(threads=2), 2)],
)
def test_under_a_budget_or_with_one_thread_one_study_runs_at_a_time(tmp_path: Path, options: RunOptions, at_once: int) -> None:
    queue = StudyQueue(tmp_path)
    assert Runner(queue, GatedSegmenter(), options, Making(), Metrics(queue)).at_once == at_once
    queue.close()
