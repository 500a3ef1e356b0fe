"""`flare-trt info`: what this machine offers, and what a bundle holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.spec import ModelSpec, Provenance, StageSpec
from flare_trt.engine.networks.inventory import Inventory, Part, take_inventory


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="also show what this model bundle holds")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print the inventory, and the bundle where one is named. Raises BundleError."""
    inventory = take_inventory()
    spec = _spec_of(arguments.bundle) if arguments.bundle else None
    if arguments.json:
        document = {**inventory.as_json(), "bundle": asdict(spec) if spec else None}
        print(json.dumps(document, indent=2))
        return 0
    print(_inventory_text(inventory))
    if spec:
        print(f"\n{_spec_text(spec)}")
    return 0


def _spec_of(path: Path) -> ModelSpec:
    with open_bundle(path) as bundle:
        return bundle.spec


def _inventory_text(inventory: Inventory) -> str:
    lines = [f"flare-trt {inventory.version}, Python {inventory.python}, {inventory.platform}"]
    for title, parts in (("devices", inventory.devices), ("kernels", inventory.kernels), ("backends", inventory.backends)):
        lines += ["", title, *_part_lines(parts)]
    versions = ", ".join(f"{name} {number}" for name, number in inventory.libraries.items())
    return "\n".join([*lines, "", versions])


def _part_lines(parts: Sequence[Part]) -> list[str]:
    width = max(12, *(len(part.name) for part in parts))
    return [f"  {part.name:<{width}} {'no: ' + part.problem if part.problem else part.detail or 'yes'}" for part in parts]


def _spec_text(spec: ModelSpec) -> str:
    source = spec.provenance
    lines = [
        f"bundle {spec.name}",
        f"  source   {source.source}",
        f"  licence  {source.licence} (of the weights)",
        f"  export   {', '.join(_export_told(source)) or '-'}",
        *(f"  check    {check.name}: {check.measured:g} (limit {check.limit:g})" for check in source.checks),
        *(f"  int8     {line}" for line in source.int8),
        *(f"  barred   {bar.backend}: {bar.reason}" for bar in spec.barred),
        f"  labels   {', '.join(f'{label.value} {label.name}' for label in spec.labels)}",
        *_afterwards(spec),
        "",
        aligned_table([["", *_STAGE_ROWS], *([name, *_stage_cells(stage)] for name, stage in _stages(spec))]),
    ]
    return "\n".join(lines)


def _export_told(source: Provenance) -> list[str]:
    """By which version, what described the network, and how much was compared."""
    depths = {"full": "compared on every CPU backend", "quick": "one image compared on the default backend alone"}
    makers = {
        "trainer": "network by the trainer's class",
        "known trainer": "network by plans.json, as the trainer builds it",
        "plans": "network by plans.json, by the user's word",
    }
    found = source.exported_by, makers.get(source.network_from, ""), depths.get(source.checked, "")
    return [text for text in found if text]


def _afterwards(spec: ModelSpec) -> list[str]:
    """What happens to the labels behind the networks."""
    kinds = [("largest piece" if rule.keep_largest else "small or far pieces", rule.labels) for rule in spec.postprocessing]
    kinds += [("gates on pieces", (spec.lesion_gates.label,))] if spec.lesion_gates else []
    texts = [f"{kind} of {' and '.join(map(str, labels))}" for kind, labels in kinds]
    return [f"  then     {', '.join(texts)}"] if texts else []


_STAGE_ROWS = (
    "spacing mm (z, y, x)",
    "patch (z, y, x)",
    "intensity",
    "orientation",
    "networks",
)


def _stages(spec: ModelSpec) -> list[tuple[str, StageSpec]]:
    named = (("coarse", spec.coarse), ("fine", spec.fine))
    return [(name, stage) for name, stage in named if stage is not None]


def _stage_cells(stage: StageSpec) -> list[str]:
    return [
        stage.spacing_told,
        " x ".join(map(str, stage.patch_zyx)),
        "; ".join([*(f"{channel.name}: {channel.told}" for channel in stage.inputs), *_labels_before(stage)]),
        stage.orientation,
        ", ".join(network.file for network in stage.networks),
    ]


def _labels_before(stage: StageSpec) -> list[str]:
    return [] if stage.previous is None else [f"labels {', '.join(map(str, stage.previous.values))} of the stage before"]
