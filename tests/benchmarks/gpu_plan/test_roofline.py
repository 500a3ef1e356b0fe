"""The roofline's floors: made of the plan's own steps, never above what the paper measured, and one network step by hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from flare_trt.benchmarks.gpu_plan import roofline_cli
from flare_trt.benchmarks.gpu_plan.cards import CARDS, Card, card_named
from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.benchmarks.gpu_plan.ledger import Step
from flare_trt.benchmarks.gpu_plan.paper import FINE, TABLE_4, paper_model, unet_facts
from flare_trt.benchmarks.gpu_plan.roofline import SPACING_MM, roofline_rows
from flare_trt.benchmarks.gpu_plan.scan_plan import PlannedScan, plan_scan
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.options import RunOptions

SCANS = (TABLE_4[0], TABLE_4[4])


@pytest.mark.parametrize("row", roofline_rows(SCANS), ids=lambda row: f"{row['case']}-{row['precision']}")
def test_floors_add_up_and_lie_below_the_paper_s_times(row: dict) -> None:  # type: ignore[type-arg]
    for name, seconds in row["floor_s"].items():
        assert sum(row["stages_s"][name].values()) == pytest.approx(seconds)
        assert 0 < row["area_mb_s"][name] <= seconds * row["peak_mb"] * 1.0001
    if row["precision"] == "fp16":  # mode=fast, as the paper ran: the fewest tiles, on half precision's units
        assert row["floor_s"]["Quadro RTX 5000"] < row["paper"]["seconds"]
    assert row["peak_mb"] < row["paper"]["peak_mb"]
    assert set(row["floor_s"]) == {card.name for card in CARDS}


def test_the_network_s_floor_is_its_work_over_the_card_s_peak() -> None:
    facts = unet_facts(FINE)
    plan = plan_scan(paper_model(), PlannedScan.of(SCANS[0].grid(SPACING_MM)), RunOptions())
    network = next(step for step in plan.ledger.steps if step.stage == "fine network" and step.operation == "network")
    card = card_named("RTX 5000")
    assert card.seconds(network, "fp32") >= facts.flops / 11.2e12
    assert card.seconds(network, "fp32") < 1.05 * facts.flops / 11.2e12  # convolutions of this size are bound by arithmetic
    assert card.seconds(network, "fp16") >= facts.flops / 89.2e12


def test_what_bounds_a_step() -> None:
    card = Card("a card", 8, memory_gb_s=100, fp32_tflops=10, fp16_tflops=40, link_gb_s=10)
    moved, computed = Cost(2 * 10**9, 0), Cost(0, 20 * 10**12)
    assert card.seconds(Step("", "", (moved,), "copy", 0), "fp16") == pytest.approx(0.2)
    assert card.seconds(Step("", "", (moved, computed), "kernel", 0), "fp16") == pytest.approx(0.02 + 2)
    assert card.seconds(Step("", "", (moved, computed), "network", 0), "fp16") == pytest.approx(0.02 + 0.5)
    assert card.seconds(Step("", "", (moved, computed), "network", 0), "fp32") == pytest.approx(0.02 + 2)


def test_a_card_is_named_by_a_part_of_its_name_that_no_other_has() -> None:
    assert card_named("h100").fp32_tflops == 66.9
    for text in ("RTX", "A100"):
        with pytest.raises(InputError, match="GeForce RTX 3090"):
            card_named(text)


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline_cli, "roofline_rows", lambda: roofline_rows(SCANS[:1]))
    parser = argparse.ArgumentParser()
    roofline_cli.configure(parser)
    assert roofline_cli.run(parser.parse_args(["--out", str(tmp_path / "r.json")])) == 0
    told, result = capsys.readouterr().out, json.loads((tmp_path / "r.json").read_text())
    assert "fine network" in told
    assert result["benchmark"] == "roofline"
    assert [row["precision"] for row in result["data"]["rows"]] == ["fp32", "fp16"]
    assert result["checks"][0]["measured"] < result["checks"][0]["limit"]
