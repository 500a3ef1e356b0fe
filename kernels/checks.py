"""Argument checks shared by the kernel devices: got, expected, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

D = TypeVar("D", bound=type)

#: What an image's voxels may be.
IMAGE_DTYPES = ("int16", "float32")
#: What a label map's voxels may be.
LABEL_DTYPES = ("uint8", "uint16")


def require_array(name: str, array: Any, dtypes: Sequence[str], ndim: int) -> None:
    """Raise TypeError for a wrong dtype, ValueError for a wrong rank or an array that is not C-contiguous."""
    dtype = str(getattr(array, "dtype", type(array).__name__))
    if dtype not in dtypes:
        raise TypeError(f"{name}: got dtype {dtype}, expected {' or '.join(dtypes)}")
    if array.ndim != ndim:
        raise ValueError(f"{name}: got {array.ndim} axes, expected {ndim}")
    if not array.flags["C_CONTIGUOUS"]:
        raise ValueError(f"{name}: got a strided view, expected a C-contiguous array (copy it first)")


def require_shape(name: str, array: Any, shape: Sequence[int]) -> None:
    """Raise ValueError unless the array has exactly this shape."""
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name}: got shape {tuple(array.shape)}, expected {tuple(shape)}")


def require_image(image: Any, *_: Any) -> None:
    """Check the first argument of `normalise` and `box_nonzero`."""
    require_array("image", image, IMAGE_DTYPES, 3)


def require_labels(labels: Any, *_: Any) -> None:
    """Check the first argument of `bounds` and `components`."""
    require_array("labels", labels, LABEL_DTYPES, 3)


def require_values(image: Any) -> None:
    """Check the argument of `value_range` and `moments`: an image of any rank with at least one voxel."""
    require_array("image", image, IMAGE_DTYPES, getattr(image, "ndim", 0))
    if not image.size:
        raise ValueError("image: got no voxels, expected at least one")


def require_inside(image: Any, inside: Any) -> None:
    """Check the arguments of `zero_outside`."""
    require_array("image", image, ("float32",), 3)
    require_array("inside", inside, ("uint8",), 3)
    require_shape("inside", inside, image.shape)


def require_components(components: Any) -> None:
    """Check the argument of `piece_bounds`."""
    require_array("components", components, ("int32",), 3)


def require_pieces(labels: Any, components: Any, kept: Any) -> None:
    """Check the arguments of `keep_pieces`: maps of one shape, and a word on background and each component."""
    require_array("labels", labels, LABEL_DTYPES, 3)
    require_array("components", components, ("int32",), 3)
    require_shape("components", components, labels.shape)
    require_array("kept", kept, ("bool",), 1)


def require_selection(labels: Any, chosen: Any) -> None:
    """Check the arguments of `select_labels`: a label map and a word on each value of its type."""
    require_array("labels", labels, LABEL_DTYPES, 3)
    require_array("chosen", chosen, ("bool",), 1)
    require_shape("chosen", chosen, (1 << 8 * labels.dtype.itemsize,))


def require_spans(image: Any, spans_zyx: Sequence[Any], order_zyx: Sequence[int], *_: Any) -> None:
    """Check the arguments of `resample_spline`: a slab lies in its axis and holds the source samples its targets need."""
    require_array("image", image, ("float32",), 3)
    _require_slab(image.shape, spans_zyx, order_zyx)


def require_scan(scan: Any, _: Any, spans_zyx: Sequence[Any], order_zyx: Sequence[int], *__: Any) -> None:
    """Check the arguments of `resample_scan`: as of `normalise` and `resample_spline`, but for the scan's strides."""
    dtype = str(getattr(scan, "dtype", type(scan).__name__))
    if dtype not in IMAGE_DTYPES:
        raise TypeError(f"scan: got dtype {dtype}, expected {' or '.join(IMAGE_DTYPES)}")
    if scan.ndim != 3:
        raise ValueError(f"scan: got {scan.ndim} axes, expected 3")
    _require_slab(scan.shape, spans_zyx, order_zyx)


def _require_slab(shape: Sequence[int], spans_zyx: Sequence[Any], order_zyx: Sequence[int]) -> None:
    for axis, span, order, length in zip("zyx", spans_zyx, order_zyx, shape, strict=True):
        if order not in (0, 1, 3):
            raise ValueError(f"order {axis}: got {order}, expected 0, 1 or 3")
        if not 0 <= span.target_start < span.target_stop <= span.target_size:
            raise ValueError(f"span {axis}: got targets {span.target_start}..{span.target_stop} of {span.target_size}")
        start, stop = span.source_needed(order)
        if not (0 <= span.source_start <= start and stop <= span.source_start + length <= span.source_size):
            raise ValueError(
                f"span {axis}: got samples {span.source_start}..{span.source_start + length} of {span.source_size}, "
                f"expected a slab that holds {start}..{stop}"
            )


def require_ring(ring: Any, weights: Any, planes: tuple[int, int]) -> None:
    """Check the arguments of `finish` and `clear`; a plane may not be named twice."""
    require_array("ring", ring, ("float16",), 4)
    require_array("weights", weights, ("float16",), 3)
    require_shape("weights", weights, ring.shape[1:])
    require_planes(ring, planes)


def require_rings(rings: Sequence[Any], planes: tuple[int, int]) -> None:
    """Check the arguments of `average`."""
    if not rings:
        raise ValueError("rings: got none, expected one a fold")
    for ring in rings:
        require_array("rings", ring, ("float16",), 4)
        require_shape("rings", ring, rings[0].shape)
    require_planes(rings[0], planes)


def require_planes(ring: Any, planes: tuple[int, int]) -> None:
    """Raise ValueError for a range of planes that a ring cannot hold at once."""
    if not 0 <= planes[0] <= planes[1] <= planes[0] + ring.shape[1]:
        raise ValueError(f"planes: got {planes[0]}..{planes[1]}, expected at most {ring.shape[1]} planes from 0 up")


def require_tile(ring: Any, weights: Any, logits: Any, gaussian: Any, corner_zyx: Sequence[int]) -> None:
    """Check the arguments of `blend` (see contract.Kernels.blend)."""
    require_array("ring", ring, ("float16",), 4)
    require_array("weights", weights, ("float16",), 3)
    require_array("logits", logits, ("float32",), 4)
    require_array("gaussian", gaussian, ("float16",), 3)
    require_shape("weights", weights, ring.shape[1:])
    require_shape("gaussian", gaussian, logits.shape[1:])
    if logits.shape[0] != ring.shape[0] or logits.shape[1] > ring.shape[1]:
        raise ValueError(f"logits: got shape {tuple(logits.shape)}, which does not fit a ring of {tuple(ring.shape)}")
    if min(corner_zyx) < 0 or any(c + t > r for c, t, r in zip(corner_zyx[1:], logits.shape[2:], ring.shape[2:], strict=True)):
        raise ValueError(
            f"corner_zyx: got {tuple(corner_zyx)}, where a tile of {tuple(logits.shape[1:])} leaves {tuple(ring.shape[1:])}"
        )


def require_restore(ring: Any, taps_zyx: Sequence[Any], values: Any, labels: Any, *_: Any) -> None:
    """Check the arguments of `restore_argmax` and `restore_regions`."""
    require_array("ring", ring, ("float16",), 4)
    require_array("labels", labels, LABEL_DTYPES, 3)
    require_array("values", values, (str(labels.dtype),), 1)
    require_shape("labels", labels, [len(taps.lower) for taps in taps_zyx])
    require_shape("values", values, (ring.shape[0],))
    if not len(values):
        raise ValueError("ring: got no channels, expected at least one")
    for axis, taps, size in zip("zyx", taps_zyx, ring.shape[1:], strict=True):
        require_array(f"weight {axis}", taps.weight, ("float32",), 1)
        for index in (taps.lower, taps.upper):
            require_array(f"taps {axis}", index, ("int32",), 1)
            require_shape(f"taps {axis}", index, taps.weight.shape)
            if len(index) and (index.min() < 0 or index.max() >= size):
                raise ValueError(f"taps {axis}: got indices {index.min()}..{index.max()}, expected 0..{size - 1}")


#: Kernel -> the check of its arguments.
CHECKS: dict[str, Callable[..., None]] = {
    "normalise": require_image,
    "zero_outside": require_inside,
    "resample_spline": require_spans,
    "resample_scan": require_scan,
    "blend": require_tile,
    "finish": require_ring,
    "average": require_rings,
    "clear": require_ring,
    "restore_argmax": require_restore,
    "restore_regions": require_restore,
    "bounds": require_labels,
    "value_range": require_values,
    "moments": require_values,
    "box_nonzero": require_image,
    "components": require_labels,
    "piece_bounds": require_components,
    "select_labels": require_selection,
    "keep_pieces": require_pieces,
}


def checks_arguments(device: D) -> D:
    """Class decorator of a kernel device: its kernels look at their arguments first, each as CHECKS says."""
    for name, check in CHECKS.items():
        setattr(device, name, _checked(getattr(device, name), check))
    return device


def _checked(kernel: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    @wraps(kernel)
    def run(self: Any, *arguments: Any) -> Any:
        check(*arguments)
        return kernel(self, *arguments)

    return run
