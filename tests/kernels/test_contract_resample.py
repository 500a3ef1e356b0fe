"""resample_spline of every device against scikit-image, SciPy and nnU-Net, at odd sizes, in slabs and axis by axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.kernel_cases import normal, resample

from flare_trt.kernels import Intensity, Kernels, Span, load

#: Largest error allowed, as a share of the image's range.
TOLERANCE = 1e-5
SHAPES = [
    ((7, 33, 41), (11, 51, 29)),
    ((9, 5, 70), (4, 12, 70)),
    ((1, 2, 41), (3, 5, 90)),
    ((2, 1, 1), (1, 3, 2)),
    ((5, 40, 3), (5, 7, 1)),
]
ORDERS = [(0, 0, 0), (1, 1, 1), (3, 3, 3)]


def error(got: Any, expected: Any, image: Any) -> float:
    """Largest difference as a share of the image's range."""
    assert got.shape == expected.shape
    assert got.dtype == np.float32
    return float(np.abs(got - expected).max() / np.ptp(image))


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize(("source", "target"), SHAPES)
def test_equal_orders_equal_scikit_image(kernels: Kernels, source: Any, target: Any, orders: Any) -> None:
    from skimage.transform import resize

    image = normal(*source) * 300 - 100
    expected = resize(image.astype(np.float64), target, order=orders[0], mode="edge", anti_aliasing=False, clip=True)
    assert error(resample(kernels, image, target, orders), expected, image) < TOLERANCE


@pytest.mark.parametrize("target", [(400, 4, 5), (100, 4, 5), (100, 9, 11), (249, 6, 7)])
@pytest.mark.parametrize("orders", ORDERS)
def test_axes_of_many_planes(kernels: Kernels, target: Any, orders: Any) -> None:
    """More planes than a device holds at once, resampled before and after the planes themselves."""
    from skimage.transform import resize

    image = normal(250, 6, 7)
    expected = resize(image.astype(np.float64), target, order=orders[0], mode="edge", anti_aliasing=False, clip=True)
    assert error(resample(kernels, image, target, orders), expected, image) < TOLERANCE


@pytest.mark.parametrize("orders", [(3, 1, 3), (1, 3, 0), (3, 0, 1), (1, 3, 3), (3, 0, 0)])
def test_mixed_orders_are_separable(kernels: Kernels, orders: Any) -> None:
    from scipy import ndimage

    image, target = normal(9, 13, 41), (14, 9, 57)
    expected = image.astype(np.float64)
    for axis in (1, 2, 0):
        if axis == 0 and orders[0] < 3:  # slices are resized one at a time, each within its own range
            expected = np.clip(expected, image.min((1, 2), keepdims=True), image.max((1, 2), keepdims=True))
        zoom = [target[a] / image.shape[a] if a == axis else 1 for a in range(3)]
        expected = ndimage.zoom(expected, zoom, order=orders[axis], mode="nearest", grid_mode=True)
    expected = np.clip(expected, image.min(), image.max())
    assert error(resample(kernels, image, target, orders), expected, image) < TOLERANCE


@pytest.mark.peer
@pytest.mark.parametrize("target", [(11, 29, 33), (4, 12, 70), (7, 20, 41)])
@pytest.mark.parametrize(("order", "order_z"), [(0, 0), (1, 0), (3, 0), (1, 1), (3, 1)])
def test_separate_z_equals_nnunet(kernels: Kernels, target: Any, order: int, order_z: int) -> None:
    """Slices are resized and clamped one at a time, then taken by nearest neighbour along z, or mixed."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg

    image = normal(7, 20, 41) * np.linspace(0.1, 9, 7, dtype=np.float32)[:, None, None]
    nnunet = {"is_seg": False, "axis": 0, "order": order, "do_separate_z": True, "order_z": order_z}
    expected = resample_data_or_seg(image[None], target, **nnunet)[0]
    got = resample(kernels, image, target, (order_z, order, order), (-1e9, 1e9))
    assert error(got, expected, image) < TOLERANCE


def test_the_result_is_clamped(kernels: Kernels) -> None:
    image = normal(5, 9, 11)
    got = resample(kernels, image, (9, 17, 13), (3, 3, 3), (-0.25, 0.5))
    assert (got.min(), got.max()) == (-0.25, 0.5)


def test_axes_of_equal_size_are_copied(kernels: Kernels) -> None:
    image = normal(6, 11, 13)
    assert np.array_equal(resample(kernels, image, image.shape, (3, 3, 3)), image)
    spans = Span(9, 9, 3, 5, 1), Span(11, 11, 2, 10), Span(13, 13, 12, 13)
    got = kernels.download(kernels.resample_spline(kernels.upload(image), spans, (3, 3, 3), (-9.0, 9.0)))
    assert np.array_equal(got, image[2:4, 2:10, 12:])
    got = resample(kernels, image, (6, 11, 17), (3, 3, 3))
    assert np.array_equal(got[2:3], resample(kernels, image[2:3], (1, 11, 17), (3, 3, 3), (image.min(), image.max())))


CUTS = st.tuples(st.integers(1, 90), st.integers(1, 90), st.randoms(use_true_random=False), st.sampled_from([0, 1, 3]))


@settings(max_examples=60, deadline=None)
@given(axes=st.tuples(CUTS, st.integers(0, 2)))
@pytest.mark.parametrize("device", ["reference", "native"])
def test_a_slab_equals_the_whole(device: str, axes: Any) -> None:
    """Cut anywhere, along any axis, a slab that holds `source_needed` gives what the whole axis gives."""
    (source, target, random, order), axis = axes
    start = random.randint(0, target - 1)
    cut = Span(source, target, start, random.randint(start + 1, target))
    low, high = cut.source_needed(order)
    shape, orders = [4, 5, 6], [3 if axis else 1, 1, 1]  # in-plane slabs: of an order at which slices keep no range of their own
    shape[axis], orders[axis] = source, order
    image = normal(*shape, seed=start)
    part = np.ascontiguousarray(image.take(range(low, high), axis))

    def resampled(array: Any, span: Span) -> Any:
        spans = [span if a == axis else Span.whole(n, n + 1) for a, n in enumerate(shape)]
        return load(device).resample_spline(array, tuple(spans), tuple(orders), (-9.0, 9.0))

    whole = resampled(image, Span.whole(source, target)).take(range(cut.target_start, cut.target_stop), axis)
    slab = resampled(part, replace(cut, source_start=low))
    assert np.abs(slab - whole).max() < 1e-6 * 8  # eight standard deviations


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("orders", [(3, 3, 3), (0, 3, 3), (1, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("target", [(11, 9, 57), (40, 26, 8), (9, 13, 41)])
def test_a_scan_as_it_lies_gives_what_its_normalised_copy_gives(kernels: Kernels, target: Any, orders: Any, dtype: str) -> None:
    hu = (normal(18, 13, 45) * 300).astype(dtype)
    window, spans = Intensity(-200.0, 300.0, 33.3, 77.7), tuple(Span.whole(n, t) for n, t in zip((9, 13, 41), target, strict=True))
    for cut in ((slice(9), slice(None), slice(41)), (slice(17, None, -2), slice(None, None, -1), slice(43, 2, -1))):
        lying = hu[cut]
        image = kernels.normalise(kernels.upload(np.ascontiguousarray(lying)), window)
        expected = kernels.download(kernels.resample_spline(image, spans, orders, (-2.0, 1.5)))  # type: ignore[arg-type]
        got = kernels.download(kernels.resample_scan(lying, window, spans, orders, (-2.0, 1.5)))  # type: ignore[arg-type]
        assert got.tobytes() == expected.tobytes()
    turned = kernels.resample_scan(hu[:9, :, :41].transpose(2, 0, 1).copy().transpose(1, 2, 0), window, spans, orders, (-2.0, 1.5))
    straight = kernels.resample_scan(hu[:9, :, :41], window, spans, orders, (-2.0, 1.5))
    assert kernels.download(turned).tobytes() == kernels.download(straight).tobytes()


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (Span(90, 45, 20, 25, 30), "expected a slab that holds 22"),
        (Span(90, 45, 20, 25, 22), "expected a slab that holds 22"),
        (Span(90, 90, 40, 48, 41), "expected a slab that holds 40..48"),
        (Span(90, 45, 20, 20, 22), "got targets 20..20 of 45"),
        (Span(90, 45, 44, 46, 62), "got targets 44..46 of 45"),
        (Span(20, 45, 0, 1, 0), "got samples 0..28 of 20"),
    ],
)
def test_a_slab_that_does_not_fit_is_refused(kernels: Kernels, span: Span, words: str) -> None:
    image = kernels.upload(normal(28, 3, 4))
    with pytest.raises(ValueError, match=words):
        kernels.resample_spline(image, (span, Span.whole(3, 5), Span.whole(4, 4)), (3, 3, 3), (-9.0, 9.0))


@pytest.mark.parametrize("image", [normal(3, 4, 5).astype(np.float64), normal(3, 4), normal(3, 4, 8)[:, :, ::2], normal(4, 3, 4).T])
def test_images_of_another_kind_are_refused(kernels: Kernels, image: Any) -> None:
    spans = tuple(Span.whole(n, n + 1) for n in (3, 4, 5))
    with pytest.raises((TypeError, ValueError), match=r"image: got"):
        kernels.resample_spline(image, spans, (3, 3, 3), (-9.0, 9.0))


@pytest.mark.parametrize("order", [2, 5, -1])
def test_other_orders_are_refused(kernels: Kernels, order: int) -> None:
    with pytest.raises(ValueError, match=f"order y: got {order}, expected 0, 1 or 3"):
        resample(kernels, normal(3, 4, 5), (4, 5, 6), (3, order, 3))


def test_scans_of_another_kind_are_refused(kernels: Kernels) -> None:
    window, spans = Intensity(-9.0, 9.0, 0.0, 1.0), (Span.whole(3, 4), Span.whole(4, 5), Span.whole(5, 6))
    for scan in (normal(3, 4, 5).astype(np.float64), normal(3, 4)):
        with pytest.raises((TypeError, ValueError), match=r"scan: got"):
            kernels.resample_scan(scan, window, spans, (3, 3, 3), (-9.0, 9.0))
    with pytest.raises(ValueError, match="expected a slab that holds"):
        kernels.resample_scan(normal(2, 4, 5), window, spans, (3, 3, 3), (-9.0, 9.0))
