"""Labels and input channels out of dataset.json.

Source: nnunetv2/utilities/label_handling/label_handling.py, LabelManager.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.base.label_types import MOST_LABEL
from flare_trt.export.json_file import JsonObject


@dataclass(frozen=True)
class Outputs:
    """What a network's output channels mean. `names` maps label values to names, the background left out."""

    names: dict[int, str]
    channel_values: tuple[int, ...]
    activation: Literal["argmax", "regions"]


def input_names(dataset: JsonObject) -> tuple[str, ...]:
    """Names of the input channels in their order, those called alike with their number.

    Raises ExportError where they are not numbered 0, 1, 2, ...
    """
    key = "modality" if "modality" in dataset.data else "channel_names"
    channels = dataset.get(key, dict)
    numbers = [str(number) for number in range(len(channels))]
    if not channels or set(channels) != set(numbers):
        raise ExportError(f"dataset.json: {key}: got channels {sorted(channels)}, expected numbers from 0 up")
    names = [str(channels[number]) for number in numbers]
    return tuple(name if names.count(name) == 1 else f"{name} {number}" for number, name in enumerate(names))


def outputs_of(dataset: JsonObject) -> Outputs:
    """Meaning of the output channels. Raises ExportError where it is not clear or does not fit into uint16."""
    labels = dataset.get("labels", dict)
    if labels.get("background") != 0:
        raise ExportError(f"dataset.json: labels.background: got {labels.get('background')!r}, expected 0")
    values = {name: _values(name, value) for name, value in labels.items() if name != "ignore"}
    highest = max(value for group in values.values() for value in group)
    if highest > MOST_LABEL:
        raise ExportError(f"dataset.json: labels: got a label {highest}, expected at most {MOST_LABEL}")
    if any(len(group) > 1 for group in values.values()):
        return _regions(dataset, values)
    return _labels({name: group[0] for name, group in values.items()})


def foreground_labels(dataset: JsonObject) -> tuple[int, ...]:
    """All label values but the background and ignore, in their order: what a cascade's second network sees of the first's."""
    labels = dataset.get("labels", dict)
    values = {value for name, group in labels.items() if name != "ignore" for value in _values(name, group)}
    return tuple(sorted(values - {0}))


def require_known_names(coarse: dict[int, str], fine: dict[int, str]) -> None:
    """Check that the fine model has every label of the coarse one. Raises ExportError."""
    unknown = sorted(set(coarse.values()) - set(fine.values()))
    if unknown:
        raise ExportError(
            f"coarse: got the labels {', '.join(unknown)}, expected labels of the fine model: {', '.join(fine.values())}; "
            "name the same organ alike in both dataset.json"
        )


def require_same_labels(first: dict[int, str], second: dict[int, str]) -> None:
    """Check that the stages of nnU-Net's cascade have the same labels. Raises ExportError."""
    if first != second:
        raise ExportError(
            f"cascade: got the labels {first} of the first stage, expected the second's, which takes them as input: {second}; name "
            "the folder of the stage that it was trained with"
        )


def _values(name: str, value: Any) -> tuple[int, ...]:
    group = value if isinstance(value, list) else [value]
    if not group or not all(type(item) is int and item >= 0 for item in group):
        raise ExportError(f"dataset.json: labels.{name}: got {value!r}, expected a label or a list of labels, whole numbers >= 0")
    return tuple(group)


def _labels(values: dict[str, int]) -> Outputs:
    """nnU-Net writes the channel's index, so label values have to be 0, 1, 2, ... without gaps or doubles."""
    if sorted(values.values()) != list(range(len(values))):
        raise ExportError(f"dataset.json: labels: got the values {sorted(values.values())}, expected 0, 1, 2, ... without gaps")
    names = {value: name for name, value in values.items() if value != 0}
    return Outputs(names, tuple(range(len(values))), "argmax")


def _regions(dataset: JsonObject, values: dict[str, tuple[int, ...]]) -> Outputs:
    """Channel i is the i-th region, painted with the i-th value of regions_class_order over the regions before it."""
    regions = {name: set(group) for name, group in values.items() if set(group) != {0}}
    order = dataset.get("regions_class_order", list)
    if len(order) != len(regions):
        raise ExportError(f"dataset.json: regions_class_order: got {len(order)} values, expected {len(regions)}, one a region")
    if not all(type(value) is int and 0 < value <= MOST_LABEL for value in order) or len(set(order)) != len(order):
        raise ExportError(f"dataset.json: regions_class_order: got {order}, expected different labels 1..{MOST_LABEL}")
    names = {value: _painted_name(name, group) for value, (name, group) in zip(order, regions.items(), strict=True)}
    return Outputs(names, tuple(order), "regions")


def _painted_name(region: str, group: set[int]) -> str:
    """A region of several labels is seen only where no later region was painted over it."""
    return region if len(group) == 1 else f"{region} (rest)"
