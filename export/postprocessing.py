"""nnU-Net's postprocessing.json becomes the bundle's rules (nnunetv2/postprocessing/remove_connected_components.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import ExportError
from flare_trt.engine.model.afterwards_spec import ComponentRule
from flare_trt.export.json_file import parse_object, read_object
from flare_trt.export.model_zip import is_in_zip, read_member

#: The one function that nnU-Net v2 writes there.
_KNOWN = "remove_all_but_largest_component_from_segmentation"


def read_postprocessing(file: Path, names: dict[int, str]) -> tuple[ComponentRule, ...]:
    """The rules in the file's order; it may lie in nnU-Net's model zip ("model.zip/.../postprocessing.json").

    `names` are the model's labels. Raises ExportError for what nnU-Net v2 does not write.
    """
    found = parse_object(read_member(file), file) if is_in_zip(file) else read_object(file)
    functions, arguments = found.get("postprocessing_fns", list), found.get("postprocessing_kwargs", list)
    if len(functions) != len(arguments):
        raise ExportError(f"{file}: got {len(functions)} functions with {len(arguments)} sets of arguments, expected one each")
    return tuple(_rule(name, kwargs, names, file) for name, kwargs in zip(functions, arguments, strict=True))


def _rule(name: Any, kwargs: Any, names: dict[int, str], file: Path) -> ComponentRule:
    if name != _KNOWN or not isinstance(kwargs, dict) or set(kwargs) - {"labels_or_regions", "background_label"}:
        raise ExportError(f"{file}: got {name!r} with {kwargs!r}, expected {_KNOWN} with labels_or_regions")
    if kwargs.get("background_label", 0) != 0:
        raise ExportError(f"{file}: background_label: got {kwargs['background_label']!r}, expected 0")
    labels = tuple(sorted(set(_flat(kwargs.get("labels_or_regions"), file))))
    unknown = [label for label in labels if label not in names]
    if unknown or not labels:
        raise ExportError(f"{file}: labels_or_regions: got {list(labels)}, expected labels of the model out of {sorted(names)}")
    return ComponentRule(labels, keep_largest=True)


def _flat(value: Any, file: Path) -> list[int]:
    """Labels of a label, a region (a list of labels) or a list of both: nnU-Net joins them all to one mask."""
    if isinstance(value, list):
        return [label for item in value for label in _flat(item, file)]
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    raise ExportError(f"{file}: labels_or_regions: got {value!r}, expected a label, a region or a list of them")
