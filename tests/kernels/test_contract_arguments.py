"""Wrong arguments raise TypeError or ValueError, on every device, before anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.kernels.kernel_cases import linear_taps

from flare_trt.kernels import Intensity, Kernels


def arguments() -> dict[str, Any]:
    """One good set for every kernel that writes into its arguments."""
    return {
        "ring": np.full((3, 7, 19, 37), 2, np.float16),
        "weights": np.full((7, 19, 37), 3, np.float16),
        "logits": np.full((3, 5, 11, 33), 4, np.float32),
        "gaussian": np.full((5, 11, 33), 5, np.float16),
        "corner_zyx": (4, 7, 2),
        "planes": (5, 9),
        "rings": [np.full((3, 7, 19, 37), fold, np.float16) for fold in range(3)],
        "taps_zyx": (linear_taps(7, 4), linear_taps(19, 23), linear_taps(37, 41)),
        "values": np.array([0, 5, 9], np.uint8),
        "labels": np.full((4, 23, 41), 77, np.uint8),
    }


PARAMETERS = {
    "blend": ("ring", "weights", "logits", "gaussian", "corner_zyx"),
    "finish": ("ring", "weights", "planes"),
    "clear": ("ring", "weights", "planes"),
    "average": ("rings", "planes"),
    "restore_argmax": ("ring", "taps_zyx", "values", "labels"),
    "restore_regions": ("ring", "taps_zyx", "values", "labels"),
}
HOST = ("corner_zyx", "planes", "taps_zyx", "values")


def taps_with(**changes: Any) -> Any:
    """The good taps with one array of the y axis replaced."""
    z, y, x = arguments()["taps_zyx"]
    return z, replace(y, **changes), x


Y = arguments()["taps_zyx"][1]
WRONG: list[tuple[str, str, Any, str]] = [
    ("blend", "logits", np.zeros((3, 5, 11, 33), np.float16), "logits: got dtype float16, expected float32"),
    ("blend", "logits", np.zeros((3, 5, 11, 66), np.float32)[..., ::2], "logits: got a strided view"),
    ("blend", "logits", np.zeros((3, 5, 11, 32), np.float32), "gaussian: got shape"),
    ("blend", "logits", np.zeros((2, 5, 11, 33), np.float32), "logits: got shape"),
    ("blend", "gaussian", np.zeros((5, 11, 33), np.float32), "gaussian: got dtype float32, expected float16"),
    ("blend", "ring", np.zeros((3, 4, 19, 37), np.float16), "weights: got shape"),
    ("blend", "weights", np.zeros((1, 7, 19, 37), np.float16), "weights: got 4 axes, expected 3"),
    ("blend", "corner_zyx", (0, 9, 2), "corner_zyx: got"),
    ("blend", "corner_zyx", (0, 0, 5), "corner_zyx: got"),
    ("blend", "corner_zyx", (-1, 0, 0), "corner_zyx: got"),
    ("finish", "weights", np.zeros((7, 19, 36), np.float16), "weights: got shape"),
    ("finish", "planes", (3, 11), "planes: got 3..11, expected at most 7"),
    ("finish", "planes", (5, 4), "planes: got 5..4"),
    ("clear", "planes", (-1, 2), "planes: got -1..2"),
    ("clear", "ring", np.zeros((3, 7, 38, 37), np.float16)[:, :, ::2], "ring: got a strided view"),
    ("average", "rings", [], "rings: got none"),
    ("average", "planes", (3, 11), "planes: got 3..11"),
    ("restore_argmax", "ring", np.zeros((3, 7, 19, 37), np.float32), "ring: got dtype float32, expected float16"),
    ("restore_argmax", "ring", np.zeros((0, 7, 19, 37), np.float16), "values: got shape"),
    ("restore_argmax", "values", np.zeros(2, np.uint8), "values: got shape"),
    ("restore_argmax", "values", np.zeros(3, np.int64), "values: got dtype int64, expected uint8"),
    ("restore_regions", "labels", np.zeros((4, 23, 41), np.int8), "labels: got dtype int8, expected uint8 or uint16"),
    ("restore_regions", "labels", np.zeros((4, 22, 41), np.uint8), "labels: got shape"),
    ("restore_argmax", "taps_zyx", taps_with(upper=Y.upper + 1), r"taps y: got indices \d..19, expected 0..18"),
    ("restore_argmax", "taps_zyx", taps_with(lower=Y.lower - 1), "taps y: got indices -1"),
    ("restore_argmax", "taps_zyx", taps_with(lower=Y.lower.astype(np.int64)), "taps y: got dtype int64, expected int32"),
    ("restore_argmax", "taps_zyx", taps_with(weight=Y.weight.astype(float)), "weight y: got dtype float64, expected float32"),
    ("restore_regions", "taps_zyx", taps_with(upper=Y.upper[1:]), "taps y: got shape"),
]


@pytest.mark.parametrize(("method", "parameter", "wrong", "words"), WRONG)
def test_wrong_arguments_are_refused(kernels: Kernels, method: str, parameter: str, wrong: Any, words: str) -> None:
    given = {**arguments(), parameter: wrong}

    def on_device(name: str, value: Any) -> Any:
        if name in HOST or name == parameter:
            return value
        return [kernels.upload(part) for part in value] if name == "rings" else kernels.upload(value)

    placed = {name: on_device(name, given[name]) for name in PARAMETERS[method]}
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(kernels, method)(*placed.values())
    for name, value in placed.items():
        if name not in (*HOST, parameter, "rings"):
            assert np.array_equal(kernels.download(value), given[name]), f"{name} was written to"


@pytest.mark.parametrize(
    ("method", "rest"),
    [("normalise", [Intensity(-9.0, 9.0, 0.0, 1.0)]), ("value_range", []), ("moments", []), ("box_nonzero", [])],
)
@pytest.mark.parametrize("image", [np.zeros((3, 4, 5)), np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4, 8), np.int16)[..., ::2]])
def test_images_of_another_kind_are_refused(kernels: Kernels, method: str, rest: list[Any], image: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="image: got"):
        getattr(kernels, method)(image, *rest)


@pytest.mark.parametrize(
    "labels", [np.zeros((3, 4, 5), np.int16), np.zeros((3, 4), np.uint8), np.zeros((3, 8, 5), np.uint8)[:, ::2]]
)
def test_labels_of_another_kind_are_refused(kernels: Kernels, labels: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="labels: got"):
        kernels.bounds(labels, 3)
    with pytest.raises((TypeError, ValueError), match="labels: got"):
        kernels.components(labels)


def test_a_mask_of_another_kind_is_refused(kernels: Kernels) -> None:
    image = kernels.zeros((3, 4, 5), np.float32)
    for inside, words in ((np.ones((3, 4, 6), np.uint8), "inside: got shape"), (np.ones((3, 4, 5), bool), "inside: got dtype")):
        with pytest.raises((TypeError, ValueError), match=words):
            kernels.zero_outside(image, inside)


def test_a_selection_of_other_than_256_labels_is_refused(kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="chosen: got shape"):
        kernels.select_labels(kernels.zeros((3, 4, 5), np.uint8), np.ones(14, bool))


@pytest.mark.parametrize(
    ("components", "kept", "message"),
    [
        (np.zeros((3, 4, 6), np.int32), np.ones(1, bool), "components: got shape"),
        (np.zeros((3, 4, 5), np.int64), np.ones(1, bool), "components: got dtype"),
        (np.zeros((3, 4, 5), np.int32), np.ones(1, np.uint8), "kept: got dtype"),
    ],
)
def test_pieces_of_another_kind_are_refused(kernels: Kernels, components: Any, kept: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        kernels.keep_pieces(kernels.zeros((3, 4, 5), np.uint8), kernels.upload(components), kept)
