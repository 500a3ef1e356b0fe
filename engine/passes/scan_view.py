"""A scan seen by a network: in the network's axis order, and without the zero border that nnU-Net crops.

Source: nnunetv2/preprocessing/preprocessors/default_preprocessor.py (transpose, then crop), cropping/cropping.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid, Reorientation, Shape, Vector
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import StageSpec
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array

#: How DICOM's axial slices lie once they are stacked upwards: z to Superior, y to Posterior, x to Left.
SCANNER_ORIENTATION = "SPL"


@dataclass(frozen=True)
class ScanView:
    """A turned and cropped look at `ct`; `crop` is where the view lies in the turned, uncropped scan."""

    ct: Volume
    turn: Reorientation
    crop: Box

    @staticmethod
    def of(ct: Volume, stage: StageSpec) -> ScanView:
        """The scan as `stage`'s network sees it."""
        if stage.orientation == "as-stored":
            turn = Reorientation((0, 1, 2), (False, False, False))
        else:
            as_nibabel = ct.grid.nibabel_orientation if stage.reader.startswith("Nibabel") else ""
            turn = Reorientation.between(as_nibabel or ct.grid.orientation, stage.orientation)
        turn = turn.transposed(stage.transpose_forward)
        kept = ct.nonzero_box if stage.crop_nonzero else ct.grid.whole
        return ScanView(ct, turn, turn.apply_box(kept, ct.grid.shape_zyx))

    @property
    def shape_zyx(self) -> Shape:
        """Shape of the view, in the network's axis order."""
        return self.crop.shape_zyx

    @property
    def whole(self) -> Box:
        """The box of the whole view."""
        return Box.whole(self.shape_zyx)

    @property
    def spacing_mm(self) -> Vector:
        """Spacing in the network's axis order."""
        return self.turn.permuted(self.ct.grid.spacing_mm)

    def read(self, box: Box, channel: int = 0) -> Array:
        """Voxels of a box of the view, as a strided view or a fresh array, where the scan lies."""
        return self.turned_part(self.ct.channels[channel].array, box)

    def turned_part(self, array: Array, box: Box) -> Array:
        """A box of the view out of any array that lies as the scan does."""
        return self.turn.apply(array[self.to_source(box).slices])

    def on_host(self, box: Box, channel: int = 0) -> NDArray[Any]:
        """As `read`, as a NumPy array."""
        return self.turn.apply(self.ct.channels[channel].on_host(self.to_source(box).slices))

    def to_source(self, box: Box) -> Box:
        """A box of the view as a box of the scan."""
        return self.turn.undo_box(box.shifted(self.crop.start_zyx), self.ct.grid.shape_zyx)

    def from_source(self, box: Box) -> Box:
        """A box of the scan as a box of the view, cut to it; may come out empty."""
        return self.turn.apply_box(box, self.ct.grid.shape_zyx).shifted(self.crop.start_zyx, -1).clipped(self.shape_zyx)

    def labels_on_scan(self, labels: Array, target: Box, kernels: Kernels) -> Array:
        """Labels of the box `target` of the view as labels of the scan, 0 elsewhere, on the kernels' device.

        A view where the box is all there is.
        """
        turned = self.turn.undo(labels)
        if turned.shape == self.ct.grid.shape_zyx:
            return turned
        output = kernels.zeros(self.ct.grid.shape_zyx, labels.dtype)
        output[self.to_source(target).slices] = turned
        return output


def at_spacing_of(view: ScanView, stage: StageSpec) -> StageSpec:
    """The stage with the scan's spacing where that is kept: across the slices of 2d, or on all axes."""
    if stage.resampled and not stage.slices:
        return stage
    return replace(stage, spacing_mm=(view.spacing_mm[0], *(stage if stage.resampled else view).spacing_mm[1:]))


def storage_warning(grid: Grid, stage: StageSpec) -> str | None:
    """What to say where a network takes scans as they are stored, and this one does not lie as scanners write them."""
    if stage.orientation != "as-stored" or grid.orientation == SCANNER_ORIENTATION:
        return None
    return (
        f"the array runs to {grid.orientation} (z, y, x), not to {SCANNER_ORIENTATION} as scanners write it, and this model takes "
        "scans as they are stored: unless its training data lay so too, sides may be swapped; turn the scan, or export the model "
        "with --orientation"
    )
