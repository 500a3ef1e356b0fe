"""Each thing that a faster run might do, alone: bundles that differ from the model in one trick, to be run in mode=fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.bundle import named_networks, open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import FastSpec, ModelSpec


@dataclass(frozen=True)
class Trick:
    """`applied` puts the trick into a bundle without fast settings; None where the model has no use for it."""

    name: str
    applied: Callable[[ModelSpec], ModelSpec | None]


def _fine(**changes: Any) -> Callable[[ModelSpec], ModelSpec | None]:
    return lambda spec: replace(spec, fine=replace(spec.fine, **changes))


def _coarse(**changes: Any) -> Callable[[ModelSpec], ModelSpec | None]:
    return lambda spec: None if spec.coarse is None else replace(spec, coarse=replace(spec.coarse, **changes))


#: The first is what mode=fast does with any bundle: the patient's box is searched instead of the whole scan, and the organs' box
#: has tiles of its own.
TRICKS = (
    Trick("body box, the box's own tiles", lambda spec: spec),
    Trick("coarse: tile step 1", _coarse(tile_step=1.0)),
    Trick("coarse: linear image", _coarse(image_order=1)),
    Trick("fine: linear image", _fine(image_order=1)),
    Trick("fine: tile step 0.6", _fine(tile_step=0.6)),
    Trick("fine: tile step 0.75", _fine(tile_step=0.75)),
)


def write_variants(bundle: Path, folder: Path) -> dict[str, Path]:
    """A bundle for each trick that the model has a use for, written into `folder`. Raises InputError for a zip."""
    if not bundle.is_dir():
        raise InputError(f"{bundle}: got a file, expected a bundle's folder; unzip it first")
    with open_bundle(bundle) as opened:
        spec = opened.spec
    plain = replace(spec, fine=replace(spec.fine, fast=FastSpec()))
    if plain.coarse is not None:
        plain = replace(plain, coarse=replace(plain.coarse, fast=FastSpec()))
    files = {network.file: bundle / network.file for _, network in named_networks(plain)}
    written = {}
    for number, trick in enumerate(TRICKS):
        variant = trick.applied(plain)
        if variant is not None:
            written[trick.name] = folder / f"trick-{number}"
            write_bundle(variant, files, written[trick.name])
    return written
