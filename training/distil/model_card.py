"""MODEL_CARD.md of the default weights, written from the runs' configurations, logs and sources: nothing in it is typed in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.organs import CORE_ORGANS, MAX_EXTENT_MM
from flare_trt.engine.base.text_tables import markdown_table
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.training.distil.bundle_figures import Figure
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.student import Student

CARD_FILE = "MODEL_CARD.md"

_LIMITS = """\
- **Not for clinical use.** Research software, not a medical device.
- Learned from {cts} CTs, labelled by a teacher network and not by people, and from synthetic phantoms. Children, pregnancy, removed
  or transplanted organs, large tumours, ascites and MR were never seen; tumours are not labelled at all.
- The validation CT's reference labels are another network's. A figure on one CT says little of the next one.
- Small organs (adrenal glands, gallbladder, duodenum, esophagus) are the weakest: look at them before you use them.
- The phantom is not anatomy; its figures show that the pipeline works and nothing else.
- Values have to be HU, axes have to be right in the header: a mirrored header swaps the kidneys without a word."""


@dataclass(frozen=True)
class Source:
    """What a data set's SOURCE.txt says of origin and licence, and what the set was for."""

    name: str
    use: str
    origin: str
    licence: str


def data_sources(configs: Sequence[DistilConfig]) -> list[Source]:
    """Each set of the runs once. Raises InputError for a set without SOURCE.txt, or one that does not say what is asked."""
    uses: dict[Path, str] = {}
    for config in configs:
        uses.update({Path(path).parent: "training (CT only)" for path in config.data.cts})
        uses.update({Path(path).parent: "validation" for path in config.data.validation_cts})
        if config.start_from_teacher or config.data.cts:
            uses[Path(config.teacher.onnx).parent] = "teacher and first weights"
    return [_source(folder, use) for folder, use in sorted(uses.items())]


def model_card(
    spec: ModelSpec,
    students: Mapping[str, Student],
    sources: Iterable[Source],
    figures: Sequence[Figure],
    sizes: Mapping[str, int],
) -> str:
    """The card as Markdown. `sizes` are the files' bytes."""
    total_mb = sum(sizes.values()) / 1e6
    cts = len({path for student in students.values() for path in student.config.data.cts})
    parts = [
        f"# Model card: {spec.name}",
        f"Two small networks for CT: the coarse one finds the abdomen, the fine one {len(spec.labels)} organs in it "
        f"({', '.join(label.name for label in spec.labels)}). {total_mb:.2f} MB in all, kernels stored in half precision and "
        f"computed in float32. Licence of the weights: {spec.provenance.licence}. **Research only, not for clinical use.**",
        "## Recipe\n" + _recipe(students, sizes),
        "## Data\n" + source_table(sources),
        "## Figures\n" + figure_tables(figures),
        "## Where the fine network looks\n" + _roi(spec),
        "## Limits\n" + _LIMITS.format(cts=cts),
    ]
    return "\n\n".join(parts) + "\n"


def _source(folder: Path, use: str) -> Source:
    file = folder / "SOURCE.txt"
    if not file.is_file():
        raise InputError(f"{file}: missing; a model card names origin and licence of all data, so each set needs this file")
    lines = dict(re.findall(r"^(source|licence):\s*(.+?)\s*$", file.read_text("utf-8"), re.MULTILINE))
    if set(lines) != {"source", "licence"}:
        raise InputError(f"{file}: got lines {sorted(lines)}, expected 'source: ...' and 'licence: ...'")
    origin = re.sub(r"\s*\([^()]*\.\./[^()]*\)", "", lines["source"])  # where a copy lay on the machine that fetched it
    return Source(folder.name, use, origin, lines["licence"])


def _recipe(students: Mapping[str, Student], sizes: Mapping[str, int]) -> str:
    rows: list[tuple[str, ...]] = [
        ("spacing, mm (z, y, x)", *(_by(s.config.spacing_mm) for s in students.values())),
        ("patch (z, y, x)", *(_by(s.config.patch_zyx) for s in students.values())),
        ("patch in training", *(_by(s.config.train_patch_zyx) for s in students.values())),
        ("features by stage", *(", ".join(map(str, s.config.network.features)) for s in students.values())),
        ("file, bytes", *(str(sizes[f"{name}.onnx"]) for name in students)),
        ("weights", *(s.origin for s in students.values())),
        ("hours of training", *(f"{s.hours:.1f}" for s in students.values())),
        ("learning rate", *(f"{s.config.schedule.learning_rate:g}" for s in students.values())),
        ("views a CT", *(str(s.config.data.views_per_ct) for s in students.values())),
        *_mix_rows(students),
        ("loss at the end", *(_last(s, "loss") for s in students.values())),
    ]
    text = (
        "Depthwise-separable U-Nets learn the teacher's class probabilities on random affine views of the CTs (rotation, zoom, "
        "stretch) and the truth of synthetic bodies. A running average of the weights is kept, the best by validation is taken."
    )
    return f"{text}\n\n{markdown_table(('', *students), rows)}"


def _mix_rows(students: Mapping[str, Student]) -> list[tuple[str, ...]]:
    said = {
        "phantom": "share of phantom patches",
        "extended": "share of CTs carried on by a phantom's body",
        "short": "share of patches cut to a small scan",
        "circle": "share with a round field of view",
        "intensity": "share with random intensity and noise",
    }
    return [(text, *(f"{getattr(s.config.mix, name):g}" for s in students.values())) for name, text in said.items()]


def _last(student: Student, key: str) -> str:
    values = [line[key] for line in student.log() if key in line]
    return f"{values[-1]:.3f}" if values else "-"


def source_table(sources: Iterable[Source]) -> str:
    """Sets, what they were for, where they come from."""
    return markdown_table(("set", "use", "origin", "licence"), [(s.name, s.use, s.origin, s.licence) for s in sources])


def figure_tables(figures: Sequence[Figure]) -> str:
    """Mean Dice of each scan and mode, and Dice by organ."""
    summary = [
        (f.scan, f.mode, f.roi, f"{f.mean_dice:.3f}" if f.dice else "-", str(len(f.dice)), f"{f.labelled_ml:.0f}") for f in figures
    ]
    named = [f for f in figures if f.dice]
    organs = list(dict.fromkeys(organ for f in named for organ in f.dice))
    rows = [(organ, *(f"{f.dice[organ]:.3f}" if organ in f.dice else "-" for f in named)) for organ in organs]
    return (
        "Dice of the written bundle, on the CPU, against the reference labels. No validation CT was learned from.\n\n"
        + markdown_table(("scan", "mode", "ROI", "mean Dice", "organs", "labelled, ml"), summary)
        + "\n\n"
        + markdown_table(("organ", *(f"{f.scan}, {f.mode}" for f in named)), rows)
    )


def _roi(spec: ModelSpec) -> str:
    ranges = ", ".join(f"{name} {limit.low_ml:g} to {limit.high_ml:g} ml" for name, limit in CORE_ORGANS.items())
    low, high = _by(spec.roi.margin_low_mm), _by(spec.roi.margin_high_mm)
    return (
        f"In the box around the coarse organs, larger by {low} mm (inferior, anterior, right) and {high} mm (superior, "
        f"posterior, left). The box grows where an organ is missing or implausible ({ranges}) and gives way to the whole scan "
        f"where the organs span more than {_by(MAX_EXTENT_MM)} mm (head-foot, front-back, left-right). The report tells which. "
        "Where no organ has a plausible volume there is no abdomen, and nothing is labelled."
    )


def _by(values: Iterable[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)
