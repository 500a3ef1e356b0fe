"""The paper's two networks (table 1) and what it measured with them (table 4), for plans and rooflines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from flare_trt.benchmarks.gpu_plan.network_facts import NetworkFacts, network_facts
from flare_trt.benchmarks.gpu_plan.scan_plan import PlannedModel
from flare_trt.benchmarks.gpu_plan.unet_graph import UNet, write_unet
from flare_trt.engine.base.grid import Grid, Shape, Vector
from flare_trt.engine.model.spec import FLARE_LABELS, SCHEMA, ModelSpec, NetworkFile, Provenance, StageSpec
from flare_trt.kernels import Intensity

PATCH_ZYX: Shape = (96, 160, 128)
#: Six stages, features doubled up to nnU-Net's limit of 320.
COARSE = UNet((24, 48, 96, 192, 320, 320), 2, PATCH_ZYX, heads=15)
FINE = UNet((32, 64, 128, 256, 320, 320), 3, PATCH_ZYX, heads=15)
COARSE_SPACING_MM: Vector = (2.5, 0.79, 0.79)
FINE_SPACING_MM: Vector = (0.8, 0.79, 0.79)
COARSE_STEP, FINE_STEP = 1.0, 0.5


@dataclass(frozen=True)
class Measured:
    """A row of table 4, on a Quadro RTX 5000: seconds, the peak in MB and the area under the memory curve in MB s."""

    case: str
    slices: int
    seconds: float
    peak_mb: int
    area_mb_s: int

    def grid(self, spacing_mm: Vector) -> Grid:
        """512 x 512 pixels; the paper does not give the spacing."""
        return Grid((self.slices, 512, 512), spacing_mm)


TABLE_4 = (
    Measured("0001", 55, 22.75, 5596, 53528),
    Measured("0051", 100, 33.25, 11448, 152572),
    Measured("0017", 150, 35.91, 11420, 146076),
    Measured("0019", 215, 29.89, 5472, 52459),
    Measured("0099", 334, 24.75, 5868, 66231),
    Measured("0063", 448, 34.87, 11396, 133175),
    Measured("0048", 499, 30.03, 7328, 85168),
    Measured("0029", 554, 50.34, 16170, 255586),
)


def paper_model() -> PlannedModel:
    """Both stages with what their networks cost; there are no weights."""
    labels = FLARE_LABELS
    stages = {
        name: StageSpec(
            networks=(NetworkFile(f"{name}.onnx"),),
            spacing_mm=spacing_mm,
            patch_zyx=PATCH_ZYX,
            intensity=Intensity(-973.0, 295.0, 80.0, 141.0),
            channel_values=(0, *(label.value for label in labels)),
            tile_step=step,
        )
        for name, spacing_mm, step in (("coarse", COARSE_SPACING_MM, COARSE_STEP), ("fine", FINE_SPACING_MM, FINE_STEP))
    }
    provenance = Provenance("Huang et al., From Whole-Body to Abdomen, FLARE 2023, table 1", "no weights")
    spec = ModelSpec(SCHEMA, "paper", labels, stages["fine"], provenance, coarse=stages["coarse"])
    return PlannedModel(spec, {"coarse": (unet_facts(COARSE),), "fine": (unet_facts(FINE),)})


def unet_facts(unet: UNet) -> NetworkFacts:
    """Count a U-Net."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unet.onnx"
        write_unet(path, unet)
        return network_facts(path)
