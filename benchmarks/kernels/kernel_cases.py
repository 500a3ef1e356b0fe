"""One case a kernel at the sizes of an abdominal CT: our call, a peer's, and how far the results may lie apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels import Box, Intensity, Kernels, Span, load
from flare_trt.kernels.contract import Taps

Shape = tuple[int, int, int]
CT_SHAPE: Shape = (133, 512, 512)
CHANNELS = 14


@dataclass(frozen=True)
class KernelCase:
    """`ours` and `theirs` return what they made; `moved_bytes` is what ours has to read and write at least."""

    name: str
    peer: str
    moved_bytes: int
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    difference: Callable[[Any, Any], float]
    limit: float


def pixel_cases(kernels: Kernels, shape: Shape = CT_SHAPE) -> list[KernelCase]:
    """Kernels that pass once over an int16 CT."""
    image = np.random.default_rng(0).integers(-1024, 1500, shape).astype(np.int16)
    window = Intensity(-973.0, 295.0, 80.0, 141.0)

    def normalise() -> NDArray[np.float32]:
        clipped = np.clip(image.astype(np.float32), np.float32(window.low_hu), np.float32(window.high_hu))
        return (clipped - np.float32(window.mean_hu)) / np.float32(window.std_hu)

    return [
        KernelCase("normalise", "NumPy", 3 * image.nbytes, lambda: kernels.normalise(image, window), normalise, _unequal, 0),
        KernelCase(
            "value_range",
            "NumPy",
            image.nbytes,
            lambda: kernels.value_range(image),
            lambda: (image.min(), image.max()),
            _unequal,
            0,
        ),
        KernelCase(
            "moments",
            "NumPy",
            image.nbytes,
            lambda: kernels.moments(image),
            lambda: (image.sum(dtype=np.float64), np.square(image, dtype=np.float64).sum()),
            lambda a, b: float(np.abs(np.divide(a, b) - 1).max()),
            1e-12,
        ),
        _box_case(image, lambda: kernels.box_nonzero(image)),
    ]


def label_cases(kernels: Kernels, shape: Shape = CT_SHAPE) -> list[KernelCase]:
    """Kernels that pass over a label map."""
    from scipy import ndimage

    labels = organ_logits(shape).argmax(0).astype(np.uint8)

    def boxes() -> NDArray[np.int64]:
        places = ndimage.find_objects(labels.astype(np.int32) + 1, CHANNELS)
        corners = [[*(p.start for p in place), *(p.stop for p in place)] if place else [0] * 6 for place in places]
        return np.column_stack([corners, np.bincount(labels.ravel(), minlength=CHANNELS)])

    parts = load("reference").components
    return [
        KernelCase("bounds", "SciPy", labels.nbytes, lambda: kernels.bounds(labels, CHANNELS), boxes, _unequal, 0),
        KernelCase(
            "components", "SciPy", 5 * labels.nbytes, lambda: kernels.components(labels), lambda: parts(labels), _unpaired, 0
        ),
    ]


def resample_cases(kernels: Kernels, source: Shape = CT_SHAPE, targets: Sequence[Shape] = ()) -> list[KernelCase]:
    """Cubic resampling of a float32 CT to each target shape, against scikit-image."""
    from skimage.transform import resize

    image = np.random.default_rng(0).standard_normal(source).astype(np.float32)
    ends = float(image.min()), float(image.max())

    def case(target: Shape) -> KernelCase:
        z, y, x = (Span.whole(a, b) for a, b in zip(source, target, strict=True))
        return KernelCase(
            f"resample_spline to {' x '.join(map(str, target[::-1]))}",
            "scikit-image",
            image.nbytes + 4 * int(np.prod(target)),
            lambda: kernels.resample_spline(image, (z, y, x), (3, 3, 3), ends),
            lambda: resize(image, target, order=3, mode="edge", anti_aliasing=False),
            lambda a, b: float(np.abs(a - b).max() / (ends[1] - ends[0])),
            1e-5,
        )

    return [case(target) for target in targets or ((133, 430, 430), (133, 240, 240), (60, 430, 430), (400, 430, 430))]


def ring_cases(kernels: Kernels, tile: Shape = (96, 160, 160)) -> list[KernelCase]:
    """One tile into a ring of logits, and half the ring's planes finished, against NumPy."""
    rng, planes, reference = np.random.default_rng(0), tile[0] // 2, load("reference")
    logits = rng.standard_normal((CHANNELS, *tile)).astype(np.float32)
    gaussian = rng.uniform(0.01, 10, tile).astype(np.float16)
    rings = [np.full((CHANNELS, *tile), fold + 1, np.float16) for fold in range(3)]

    def written(device: Kernels, call: Callable[..., None]) -> Callable[[], Any]:
        ring, weights = rings[0].copy(), gaussian.copy()

        def run() -> Any:
            call(device, ring, weights)
            return ring

        return run

    def case(name: str, moved_bytes: int, call: Callable[..., None]) -> KernelCase:
        return KernelCase(name, "NumPy", moved_bytes, written(kernels, call), written(reference, call), _unequal, 0)

    half = rings[0].nbytes // 2
    return [
        case("blend", logits.nbytes + 2 * rings[0].nbytes, lambda k, r, w: k.blend(r, w, logits, gaussian, (5, 0, 0))),
        case("finish", 2 * half, lambda k, r, w: k.finish(r, w, (0, planes))),
        case("average of 3", 4 * half, lambda k, r, w: k.average([r, *rings[1:]], (0, planes))),
        case("clear", half, lambda k, r, w: k.clear(r, w, (0, planes))),
    ]


def restore_cases(kernels: Kernels, source: Shape = (133, 340, 340), target: Shape = CT_SHAPE) -> list[KernelCase]:
    """Logits of 14 channels to labels, against scikit-image's order 1 for each channel."""
    from skimage.transform import resize

    organs, values = organ_logits(source).astype(np.float16), np.arange(CHANNELS, dtype=np.uint8)
    regions, labels = organs[1:], np.empty(target, np.uint8)  # a region net has no channel for the background
    taps = _taps(source[0], target[0]), _taps(source[1], target[1]), _taps(source[2], target[2])

    def ours(method: str, ring: NDArray[np.float16]) -> Any:
        getattr(kernels, method)(ring, taps, values[-len(ring) :], labels)
        return labels

    def theirs(choose: Callable[..., Any], ring: NDArray[np.float16]) -> Any:
        result, best = np.zeros(target, np.uint8), np.full(target, -np.inf, np.float16)
        for value, logits in zip(values[-len(ring) :], ring, strict=True):
            here = resize(logits.astype(np.float64), target, order=1, mode="edge", anti_aliasing=False).astype(np.float16)
            chosen = choose(here, best)
            result[chosen], best[chosen] = value, here[chosen]
        return result

    def case(method: str, ring: NDArray[np.float16], choose: Callable[..., Any]) -> KernelCase:
        moved = ring.nbytes + labels.nbytes
        run = lambda: ours(method, ring), lambda: theirs(choose, ring)
        return KernelCase(method, "scikit-image", moved, *run, _unequal, 1e-5)  # ties that float64 rounds the other way

    return [
        case("restore_argmax", organs, np.greater),
        case("restore_regions", regions, lambda logits, _: logits > 0),
    ]


def organ_logits(shape: Shape) -> NDArray[np.float32]:
    """(14, z, y, x) logits of a background and 13 balls with rippled borders, about as much border as organs have."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    ripple = np.float32(0.03) * np.sin(40 * z) * np.cos(37 * y) * np.sin(43 * x)
    logits = np.zeros((CHANNELS, *shape), np.float32)
    for channel in range(1, CHANNELS):
        (cz, cy, cx), radius = rng.uniform(-0.6, 0.6, 3).astype(np.float32), np.float32(rng.uniform(0.12, 0.3))
        logits[channel] = 20 * (radius - np.sqrt((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) + ripple)
    return logits


def _taps(source: int, target: int) -> Taps:
    place = np.clip(Span.whole(source, target).coordinates(), 0, source - 1)
    lower = np.floor(place).astype(np.int32)
    return Taps(lower, np.minimum(lower + 1, source - 1).astype(np.int32), (place - lower).astype(np.float32))


def _box_case(image: NDArray[np.int16], ours: Callable[[], Any]) -> KernelCase:
    def theirs() -> Box:
        found, ends = image != 0, []
        for axis in range(3):
            where = np.flatnonzero(found.any(axis=tuple(a for a in range(3) if a != axis)))
            ends.append((int(where[0]), int(where[-1]) + 1))
        return Box.spanning(ends)

    return KernelCase("box_nonzero", "NumPy", image.nbytes, ours, theirs, lambda a, b: float(a != b), 0)


def _unequal(a: Any, b: Any) -> float:
    """Share of values that differ."""
    return float(np.mean(np.asarray(a) != np.asarray(b)))


def _unpaired(a: NDArray[np.int32], b: NDArray[np.int32]) -> float:
    """How many components lack a partner of the same voxels in the other labelling."""
    pairs = len(np.unique(a.astype(np.int64) * (int(b.max()) + 1) + b))
    return float(abs(pairs - len(np.unique(a))) + abs(pairs - len(np.unique(b))))
