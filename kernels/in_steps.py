"""What devices do alike that have no kernel of its own for it."""

from __future__ import annotations

from flare_trt.kernels.contract import Array, Intensity, Kernels, Span


class ResamplesInSteps:
    """The part of contract.Kernels that takes a scan to the network's grid kernel by kernel, for reference and cuda."""

    def resample_scan(
        self: Kernels,
        scan: Array,
        intensity: Intensity,
        spans_zyx: tuple[Span, Span, Span],
        order_zyx: tuple[int, int, int],
        clamp: tuple[float, float],
    ) -> Array:
        return self.resample_spline(self.normalise(self.upload(scan), intensity), spans_zyx, order_zyx, clamp)
