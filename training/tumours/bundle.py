"""The trained network and the coarse network of the bundle that it grew from become a bundle with a tumour class."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.model.afterwards_spec import LesionGates
from flare_trt.engine.model.bundle import Bundle, open_bundle
from flare_trt.engine.model.bundle_writer import require_replaceable, write_bundle
from flare_trt.engine.model.spec import FLARE_LABELS, SCHEMA, Check, ModelSpec, NetworkFile, Provenance
from flare_trt.export.calibrate import without_int8
from flare_trt.training.distil.bundle_figures import measure_bundle
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.model_card import CARD_FILE
from flare_trt.training.distil.student_bundle import export_network, stage_of
from flare_trt.training.tumours.card import Branch, card_of, tumour_card
from flare_trt.training.tumours.lesion_figures import measure_lesions
from flare_trt.training.tumours.network import TumourConfig, TumourUNet
from flare_trt.training.tumours.recipe import CHANNELS, TUMOUR

#: Both networks of a bundle together are at most 8 MB.
MOST_BYTES = 7_200_000
#: What is no tumour, whatever the network says: smaller than a ball 12 mm across, fat or water, as bright as bone beside its organ,
#: a plate or a string, farther from every organ than a lesion grows, with little of one beside it, or nowhere surely tumour.
GATES = LesionGates(
    TUMOUR,
    least_ml=1.0,
    over_organ_hu=(-150.0, 150.0),
    mean_hu=(13.0, 1e6),
    least_filled=0.1,
    farthest_mm=15.0,
    least_beside=0.3,
    least_strong_ml=0.1,
)
#: So much surer than its training asks of it the branch has to be: each false lesion has to be looked at by someone.
CAUTION = 1.0


@dataclass(frozen=True)
class TrainedTumours:
    """A configuration and checkpoints of its run, or of a run and one that went on from it: the mean of their weights is taken."""

    config: DistilConfig
    checkpoints: Sequence[Path]

    def network(self) -> TumourUNet:
        """The averaged weights, in evaluation mode. Raises InputError for a missing checkpoint."""
        network = TumourUNet(TumourConfig(self.config.network))
        states = [content["averaged"] for content in self._contents()]
        network.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
        network.eval()
        with torch.no_grad():
            network.branch.out.bias -= CAUTION
        return network

    def branch(self) -> Branch:
        """How it was trained, for the model card: to the last of the checkpoints."""
        last = max(self._contents(), key=lambda content: int(content["step"]))
        return Branch(self.config, int(last["step"]), float(last["seconds"]) / 3600, len(self.checkpoints))

    def _contents(self) -> list[dict[str, Any]]:
        for path in self.checkpoints:
            if not path.exists():
                raise InputError(f"{path}: no such checkpoint; train the network first")
        return [torch.load(path, map_location="cpu", weights_only=True) for path in self.checkpoints]


def write_tumour_bundle(
    trained: TrainedTumours, older: Path, name: str, destination: Path, held_out: Sequence[Path] = ()
) -> ModelSpec:
    """Export, check, measure and bundle, behind the coarse network of `older`; lesions are planted in the CTs `held_out`.

    Raises ExportError where a backend's logits differ, InputError for what is missing.
    """
    require_replaceable(destination, (CARD_FILE,))
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary, open_bundle(older) as opened:
        fine, bundle = Path(temporary) / "fine.onnx", Path(temporary) / "bundle"
        spec, before = _spec(opened, trained, name), card_of(older)
        checks = export_network(trained.network, spec.fine, fine, MOST_BYTES)
        spec = replace(spec, provenance=replace(spec.provenance, checks=_coarse_checks(opened) + checks))
        files = {"coarse.onnx": opened.folder / "coarse.onnx", "fine.onnx": fine}
        write_bundle(spec, files, bundle)
        organs = measure_bundle(bundle, trained.config.data, torch.get_num_threads())
        lesions = measure_lesions(bundle, held_out, spec.fine.spacing_mm, torch.get_num_threads())
        card = tumour_card(before, spec, trained.branch(), organs, lesions)
        return write_bundle(spec, files, destination, {CARD_FILE: card})


def _spec(opened: Bundle, trained: TrainedTumours, name: str) -> ModelSpec:
    if opened.spec.coarse is None or opened.spec.coarse.networks[0].file != "coarse.onnx":
        raise InputError(f"{opened.source}: got a bundle without a coarse stage in coarse.onnx, expected one with both stages")
    coarse, source = opened.spec.coarse, opened.spec.provenance.source
    steps = trained.branch().steps
    return ModelSpec(
        schema=SCHEMA,
        name=name,
        labels=FLARE_LABELS,
        fine=replace(stage_of("fine", trained.config), channel_values=(*range(CHANNELS), TUMOUR), strong_label=TUMOUR),
        coarse=replace(without_int8(coarse, "coarse"), networks=(NetworkFile("coarse.onnx"),)),
        roi=opened.spec.roi,
        lesion_gates=GATES,
        provenance=Provenance(
            source=f"{source}; beside it a branch for tumours, trained for {steps} steps on CTs with planted lesions",
            licence="Apache-2.0",
            exported_by=f"flare-trt {VERSION}",
        ),
    )


def _coarse_checks(opened: Bundle) -> tuple[Check, ...]:
    """What was measured on the coarse network when it was exported."""
    return tuple(check for check in opened.spec.provenance.checks if check.name.startswith("coarse.onnx"))
