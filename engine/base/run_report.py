"""What happened in a run, as JSON-ready values: where it ran, how long each stage took, which way the ROI went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DroppedComponent:
    """A coarse component that was left out of the ROI, and why."""

    label: str
    volume_ml: float
    distance_mm: float
    reason: str


@dataclass(frozen=True)
class RoiStory:
    """How the ROI was found. `decision` is roi, enlarged, whole or empty; boxes are source voxels (z, y, x), half-open."""

    decision: str
    start_zyx: tuple[int, int, int]
    stop_zyx: tuple[int, int, int]
    share_of_scan: float
    findings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    dropped: tuple[DroppedComponent, ...] = ()
    specks: int = 0
    touches_edge: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemovedPieces:
    """What a post-processing rule of the bundle removed: the rule's labels, how many pieces, and their volume."""

    labels: str
    pieces: int
    volume_ml: float


@dataclass(frozen=True)
class GatedLesion:
    """A piece that the network called tumour and a gate of the bundle did not: `gate` is volume, certainty, hu, shape or
    position."""

    gate: str
    volume_ml: float
    organ: str
    mean_hu: float
    centre_zyx: tuple[int, int, int]


@dataclass(frozen=True)
class KeptLesion:
    """A piece of tumour that passed the bundle's gates: its box in scan voxels (z, y, x), half-open, and the share of its voxels
    of which the network was surest."""

    start_zyx: tuple[int, int, int]
    stop_zyx: tuple[int, int, int]
    certainty: float


@dataclass(frozen=True)
class RunReport:
    """Everything worth knowing about one segmented scan. Seconds by stage, in the order in which stages first ran."""

    version: str
    model: str
    mode: str
    device: str
    device_reason: str
    kernels: str
    backend: str
    precision: str
    stages: dict[str, float]
    tiles: dict[str, int]
    roi: RoiStory | None
    warnings: tuple[str, ...]
    mirror: bool = False
    tile_step: float | None = None
    postprocessing: tuple[RemovedPieces, ...] = ()
    gated: tuple[GatedLesion, ...] = ()
    kept: tuple[KeptLesion, ...] = ()

    @property
    def looked(self) -> bool:
        """Whether the fine network ran: where the coarse one sees no abdomen, no organ has been looked for."""
        return self.roi is None or self.roi.decision != "empty"

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for json.dumps."""
        return asdict(self)
