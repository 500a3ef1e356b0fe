"""The page describes each way that the ROI may go."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.run_report import RoiStory
from flare_trt.engine.results.html.story import roi_sentences


@pytest.mark.parametrize(
    ("decision", "wanted"),
    [
        (
            "roi",
            (
                "looked only there.",
                "The box is 25.0% of the scan: 19 × 18 × 45 mm (",
            ),
        ),
        ("enlarged", ("made larger.", "The box is 25.0% of the scan")),
        ("whole", ("looked at the whole scan.",)),
        ("empty", ("nothing was segmented.",)),
    ],
)
def test_decisions(decision: str, wanted: tuple[str, ...]) -> None:
    sentences = roi_sentences(RoiStory(decision, (1, 2, 3), (10, 20, 31), 0.25), (5.0, 1.04, 0.65), "LIA")
    assert len(sentences) == len(wanted)
    assert all(part in sentence for part, sentence in zip(wanted, sentences, strict=True))


def test_edges_findings_and_what_is_missing() -> None:
    told = " ".join(
        roi_sentences(
            RoiStory("whole", (0, 0, 0), (4, 4, 4), 1.0, ("upside down",), ("liver", "aorta"), (), 0, ("I", "A")), (1, 1, 1), "SPL"
        )
    )
    assert "reaches the scan's inferior and anterior edge" in told
    assert "Finding: upside down." in told
    assert "did not find: liver and aorta" in told
