"""The table of a cohort as pandas reads it, what stands out, and what nobody looked for."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from flare_trt.engine.results.agreement import OrganAgreement
from flare_trt.engine.results.cohort import COLUMNS, CaseNumbers, hashed, outliers, write_cohort_csv
from flare_trt.engine.results.contrast_phase import ContrastPhase
from flare_trt.engine.results.html.cohort_page import cohort_page
from flare_trt.engine.results.lesions import Lesion, TumourMeasure
from flare_trt.engine.results.measures import OrganMeasure

LIVER = OrganMeasure(1, "liver", 90_000, 1500.0, 110.5, 12.0, touches_edge=("S", "L"), median_hu=111.0, p10_hu=95.0, p90_hu=125.0)
TUMOUR = OrganMeasure(14, "tumour", 300, 5.25, 60.0, 9.0, median_hu=61.0, p10_hu=50.0, p90_hu=70.0)
LESION = Lesion(5.25, 23.4, 18.0, 25.0, 12, (1, 2, 3), (4, 5, 6), ())
CASE = CaseNumbers(
    "=case,1",
    "1.2.3",
    "1.2.3.4",
    "model",
    ContrastPhase("portal-venous", 150.0, 130.0, 111.0),
    (LIVER, TUMOUR, OrganMeasure(3, "spleen", 0, 0.0)),
    (TumourMeasure(14, "tumour", (LESION,), 2),),
    (OrganAgreement("liver", 1500.0, 1480.0, 0.97),),
    ("odd <spacing>", 'said "so"'),
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_an_organ(tmp_path: Path) -> None:
    write_cohort_csv(tmp_path / "t.csv", [CASE, CaseNumbers("b", error="damaged")])
    assert (tmp_path / "t.csv").read_bytes().startswith(",".join(COLUMNS).encode() + b"\r\n")
    liver, tumour, spleen, failed = rows(tmp_path / "t.csv")
    assert (liver["case"], liver["study_uid"], liver["series_uid"], liver["phase"]) == (
        "'=case,1",
        "1.2.3",
        "1.2.3.4",
        "portal-venous",
    )
    assert [liver[name] for name in ("organ", "volume_ml", "mean_hu", "median_hu", "p10_hu", "p90_hu")] == [
        "liver", "1500.0", "110.5", "111.0", "95.0", "125.0",
    ]  # fmt: skip
    assert (liver["completeness"], liver["lesions"], liver["dsc"], liver["other_volume_ml"]) == ("cut SL", "", "0.97", "1480.0")
    assert liver["warnings"] == 'odd <spacing> | said "so"'
    assert (tumour["lesions"], tumour["longest_lesion_mm"], tumour["completeness"], tumour["dsc"]) == ("1", "23.4", "whole", "")
    assert (spleen["completeness"], spleen["volume_ml"], spleen["mean_hu"]) == ("not found", "0.0", "")
    assert (failed["case"], failed["error"], failed["organ"], failed["phase"]) == ("b", "damaged", "", "")


def test_hashes_are_stable_and_say_nothing() -> None:
    assert hashed("1.2.3") == hashed("1.2.3") != hashed("1.2.4")
    assert len(hashed("1.2.3")) == 32
    assert hashed("") == ""


def cohort(*volumes: float, median_hu: float = 110.0) -> list[CaseNumbers]:
    whole = replace(LIVER, touches_edge=(), median_hu=median_hu)
    return [CaseNumbers(f"c{n}", organs=(replace(whole, volume_ml=ml),)) for n, ml in enumerate(volumes)]


def test_what_stands_out() -> None:
    (far,) = outliers(cohort(1400, 1450, 1500, 1550, 1600, 4000))
    assert (far.case, far.organ, far.quantity) == ("c5", "liver", "volume_ml")
    assert "above the others (median 1525" in far.why
    assert outliers(cohort(1400, 1450, 1500, 4000)) == ()  # four have no spread
    assert outliers(cohort(1500, 1500, 1500, 1500, 1500, 1501)) == ()
    (tiny,) = outliers(cohort(40))
    assert tiny.why == "outside of 250 to 5000 ml"
    cut = [replace(case, organs=(replace(case.organs[0], touches_edge=("S",)),)) for case in cohort(40, 50, 60, 70, 80, 9000)]
    assert outliers(cut) == ()


def test_what_nobody_looked_for_is_not_called_absent(tmp_path: Path) -> None:
    """Where the coarse network saw no abdomen the fine one never ran."""
    absent = tuple(OrganMeasure(value, name, 0, 0.0) for value, name in ((1, "liver"), (14, "tumour")))
    looked = CaseNumbers("a", organs=absent, tumours=(TumourMeasure(14, "tumour", (), 0),))
    unseen = replace(looked, case="b", looked=False)
    write_cohort_csv(tmp_path / "t.csv", [looked, unseen])
    cells = [(row["case"], row["completeness"], row["lesions"]) for row in rows(tmp_path / "t.csv")]
    assert cells == [
        ("a", "not found", ""),
        ("a", "not found", "0"),
        ("b", "not looked for", ""),
        ("b", "not looked for", ""),
    ]
    page = cohort_page([looked, unseen])
    assert page.count("not looked for") == 1
    assert page.count("0 of 1<") == 2  # of the scans in which each organ was looked for
