"""When organs have been looked for, and the report of a run as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flare_trt.engine.base.run_report import DroppedComponent, GatedLesion, RemovedPieces, RoiStory, RunReport

STORY = RoiStory("roi", (1, 2, 3), (10, 20, 30), 0.25, dropped=(DroppedComponent("liver", 3.5, 200.0, "far"),), specks=2)
RUN = RunReport(
    "0.1.0", "m", "exact", "cpu", "no GPU", "native", "openvino", "fp32", {"read": 0.5, "a": 1.0}, {"fine": 8}, STORY, ("odd",),
    postprocessing=(RemovedPieces("liver", 2, 1.5),), gated=(GatedLesion("hu", 0.5, "liver", 61.0, (4, 5, 6)),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("decision", "looked"), [("roi", True), ("enlarged", True), ("whole", True), ("empty", False), (None, True)]
)
def test_organs_are_looked_for_unless_there_is_no_abdomen(decision: str | None, looked: bool) -> None:
    """A model of one network has no story of a ROI, and always looks."""
    assert replace(RUN, roi=None if decision is None else replace(STORY, decision=decision)).looked is looked


def test_json_holds_the_nested_values_and_the_order_of_the_stages() -> None:
    told = json.loads(json.dumps(RUN.as_json()))
    assert list(told["stages"].items()) == [("read", 0.5), ("a", 1.0)]
    assert (told["roi"]["start_zyx"], told["roi"]["stop_zyx"], told["roi"]["share_of_scan"]) == ([1, 2, 3], [10, 20, 30], 0.25)
    assert told["roi"]["dropped"] == [{"label": "liver", "volume_ml": 3.5, "distance_mm": 200.0, "reason": "far"}]
    assert told["postprocessing"] == [{"labels": "liver", "pieces": 2, "volume_ml": 1.5}]
    assert told["gated"][0]["centre_zyx"] == [4, 5, 6]
    assert replace(RUN, roi=None).as_json()["roi"] is None
