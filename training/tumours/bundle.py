"""The trained network and the coarse network of an older bundle become a bundle with a tumour class."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.model.afterwards_spec import LesionGates
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import FLARE_LABELS, SCHEMA, ModelSpec, Provenance
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.student_bundle import export_network, stage_of
from flare_trt.training.tumours.network import HalfConfig, HalfUNet
from flare_trt.training.tumours.recipe import TUMOUR

#: Both networks of a bundle together are at most 8 MB.
MOST_BYTES = 7_200_000
#: What is no tumour, whatever the network says: smaller than a ball 9 mm across (nothing under 6 mm was planted), as dark as fat or
#: as bright as bone beside its organ, a plate or a string, or farther from every organ than a lesion grows.
GATES = LesionGates(TUMOUR, least_ml=0.4, over_organ_hu=(-150.0, 150.0), least_filled=0.05, farthest_mm=15.0)


@dataclass(frozen=True)
class TrainedTumours:
    """A configuration and a checkpoint of its run."""

    config: DistilConfig
    checkpoint: Path

    def network(self) -> HalfUNet:
        """The averaged weights, in evaluation mode, norms folded. Raises InputError for a missing checkpoint."""
        network = HalfUNet(HalfConfig())
        network.load_state_dict(self._content()["averaged"])
        network.eval()
        network.branch.fold_norms()
        return network

    def origin(self) -> str:
        """Where the weights come from, in words."""
        return f"the stages of the FLARE25 teacher, trained for {self._content()['step']} steps on CTs with planted lesions"

    def _content(self) -> dict[str, dict[str, torch.Tensor]]:
        if not self.checkpoint.exists():
            raise InputError(f"{self.checkpoint}: no such checkpoint; train the network first")
        content: dict[str, dict[str, torch.Tensor]] = torch.load(self.checkpoint, weights_only=True)
        return content


def write_tumour_bundle(trained: TrainedTumours, coarse_from: Path, name: str, destination: Path) -> ModelSpec:
    """Export, check and bundle. Raises ExportError where a backend's logits differ, InputError for what is missing."""
    stage = stage_of("fine", trained.config)
    with tempfile.TemporaryDirectory(prefix="flare-trt-") as temporary, open_bundle(coarse_from) as older:
        if older.spec.coarse is None:
            raise InputError(f"{coarse_from}: got a bundle without a coarse stage, expected one with both")
        fine = Path(temporary) / "fine.onnx"
        checks = export_network(trained.network, stage, fine, MOST_BYTES)
        coarse_origin = older.spec.provenance.source.partition("; fine:")[0].removeprefix("coarse: ")
        spec = ModelSpec(
            schema=SCHEMA,
            name=name,
            labels=FLARE_LABELS,
            fine=stage,
            coarse=older.spec.coarse,
            roi=older.spec.roi,
            lesion_gates=GATES,
            provenance=Provenance(
                source=f"coarse: {coarse_origin}; fine: {trained.origin()}",
                licence="Apache-2.0",
                exported_by=f"flare-trt {version('flare-trt')}",
                checks=checks,
            ),
        )
        first = older.network_files(older.spec.coarse)[0]
        networks = (replace(older.spec.coarse.networks[0], file="coarse.onnx"),)
        spec = replace(spec, coarse=replace(older.spec.coarse, networks=networks))
        return write_bundle(spec, {"coarse.onnx": first, "fine.onnx": fine}, destination)
