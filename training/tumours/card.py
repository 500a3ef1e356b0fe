"""MODEL_CARD.md of a bundle with a branch for tumours: the card of the bundle that it grew from, and what is new."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.training.distil.bundle_figures import Figure
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.model_card import CARD_FILE, data_sources, figure_tables, source_table
from flare_trt.training.tumours.held_out import FOUND_SHARE, LEAST_FALSE_ML, LesionScore
from flare_trt.training.tumours.lesion_figures import LesionFigure

_LIMITS = """\
- **Tumours are a first attempt.** The branch learned from planted lesions alone, in {cts} CTs; no tumour that a person drew was
  ever seen, in training or for these figures. It misses lesions and calls things tumours that are none: look at each.
  Effusions, ascites and the fluid in a kidney's hollow are taken for tumours most often. Threshold and gates were chosen on
  ts_example.
"""


@dataclass(frozen=True)
class Branch:
    """How the branch was trained."""

    config: DistilConfig
    steps: int
    hours: float
    checkpoints: int = 1


def card_of(bundle: Path) -> str:
    """The card in a bundle's folder or zip. Raises InputError where it has none."""
    if bundle.is_dir():
        found = [(bundle / CARD_FILE).read_text("utf-8")] if (bundle / CARD_FILE).is_file() else []
    else:
        with zipfile.ZipFile(bundle) as archive:
            found = [archive.read(name).decode("utf-8") for name in archive.namelist() if Path(name).name == CARD_FILE]
    if not found:
        raise InputError(f"{bundle}: got no {CARD_FILE}; the card of the new bundle carries on that of the one it grew from")
    return found[0]


def tumour_card(older: str, spec: ModelSpec, branch: Branch, organs: Sequence[Figure], lesions: Sequence[LesionFigure]) -> str:
    """The card as Markdown; `older` is the card of the bundle whose networks were taken."""
    parts = _sections(older)
    names = ", ".join(label.name for label in spec.labels)
    parts[""] = (
        f"# Model card: {spec.name}\n\nTwo small networks for CT: the coarse one finds the abdomen, the fine one "
        f"{len(spec.labels)} structures in it ({names}). The organs' weights are those of the recipe below, a branch for tumours "
        "lies beside them. Kernels are stored in half precision and computed in float32. Licence of the weights: "
        f"{spec.provenance.licence}. **Research only, not for clinical use.**"
    )
    parts["Tumours"] = _tumours(branch, lesions)
    parts["Figures"] = figure_tables(organs)
    parts["Data of the branch"] = source_table(data_sources([branch.config]))
    limits = _LIMITS.format(cts=len(branch.config.data.cts))
    parts["Limits"] = limits + parts.get("Limits", "").replace("; tumours are not labelled at all", "")
    order = ["Recipe", "Tumours", "Data", "Data of the branch", "Figures", "Where the fine network looks", "Limits"]
    return "\n\n".join([parts[""], *(f"## {name}\n{parts[name].strip()}" for name in order if name in parts)]) + "\n"


def _sections(card: str) -> dict[str, str]:
    """Text by heading of the second level; "" is what stands before the first."""
    head, *rest = re.split(r"^## ", card, flags=re.MULTILINE)
    return {"": head.strip(), **{name: text for name, _, text in (part.partition("\n") for part in rest)}}


def _tumours(branch: Branch, lesions: Sequence[LesionFigure]) -> str:
    planted = [figure.score for figure in lesions if figure.planting]
    plain = [figure for figure in lesions if not figure.planting]
    rows = [
        (f.scan, str(f.planting), f"{f.score.dice:.3f}", f"{f.score.found} of {f.score.lesions}", str(f.score.false_pieces))
        for f in lesions
        if f.planting
    ]
    mean = f"; the weights are the mean of those at {branch.checkpoints} of them" if branch.checkpoints > 1 else ""
    text = (
        "A U-Net of plain convolutions, half the resolution inside, beside the organs' network, trained for "
        f"{branch.steps} steps ({branch.hours:.1f} hours on a CPU{mean}) on lesions that were planted in "
        f"{len(branch.config.data.cts)} CTs: darker ones of liver, kidneys, pancreas, spleen and adrenal glands. Brighter lesions "
        "and those of stomach and duodenum are not looked for. The organs' weights were not changed, "
        "so organs change only where a tumour is found. Gates on volume, HU, shape and distance follow; the report says which "
        "stopped what."
    )
    if not planted:
        return f"{text} No lesions were planted to measure it."
    dice, sensitivity, false = LesionScore.mean(planted)
    alarms = ", ".join(f"{figure.scan} {figure.score.false_pieces}" for figure in plain)
    return (
        f"{text}\n\nPlanted lesions of over 10 mm, of those that are looked for, in scans that the branch never saw, mode exact: "
        f"mean Dice {dice:.2f}, sensitivity {sensitivity:.2f} (a lesion is found where {FOUND_SHARE:.0%} of it is labelled), "
        f"{false:.1f} false pieces above {LEAST_FALSE_ML:g} ml a scan. In the same scans without lesions, false pieces: "
        f"{alarms}.\n\n" + markdown_table(("scan", "planting", "Dice", "found", "false pieces"), rows)
    )
