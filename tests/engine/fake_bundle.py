"""Bundles of shipped fake networks, for tests of everything around the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flare_trt.engine.model import strict_json
from flare_trt.engine.model.bundle import sha256_of
from flare_trt.engine.model.spec import LabelSpec, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.engine.networks.fake import write_fake_network
from flare_trt.kernels import Intensity

NAMES = ("liver", "spleen", "right kidney", "left kidney")


def fake_spec(coarse: bool = False) -> ModelSpec:
    """Five channels: background and four organs."""
    labels = tuple(LabelSpec(i, name, "#ff0000") for i, name in enumerate(NAMES, start=1))
    stage = StageSpec(
        networks=(NetworkFile("fine.onnx", ""),),
        spacing_mm=(2.0, 1.5, 1.5),
        patch_zyx=(16, 24, 20),
        intensity=Intensity(-200.0, 300.0, 40.0, 120.0),
        channel_values=(0, 1, 2, 3, 4),
        orientation="SPL",
    )
    first = (
        replace(stage, networks=(NetworkFile("coarse.onnx", ""),), spacing_mm=(4.0, 3.0, 3.0), tile_step=1.0) if coarse else None
    )
    return ModelSpec(1, "fake", labels, stage, Provenance("made by the tests", "Apache-2.0", "tests"), coarse=first)


def fake_bundle(folder: Path, spec: ModelSpec) -> Path:
    """Write `spec` with fake networks as a bundle folder."""
    folder.mkdir(parents=True)
    stages = {}
    for name in ("fine", "coarse"):
        stage: StageSpec | None = getattr(spec, name)
        if stage is None:
            continue
        networks = []
        for network in stage.networks:
            file = write_fake_network(folder / network.file, stage.patch_zyx, len(stage.channel_values))
            networks.append(NetworkFile(network.file, sha256_of(file)))
        stages[name] = replace(stage, networks=tuple(networks))
    (folder / "bundle.json").write_text(strict_json.dump(replace(spec, **stages)))  # type: ignore[arg-type]
    return folder
