"""Acquisitions that lie between each other are listed and chosen, and never woven into one volume."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.scan_reader import whole_ct

EARLY, LATE = small_ct((12, 23, 21), seed=1), small_ct((12, 23, 21), seed=2)
LOOK = Look(spacing_mm=(1.5, 0.8, 0.7))


def woven() -> NDArray[np.int16]:
    both = np.empty((24, *EARLY.shape[1:]), np.int16)
    both[0::2], both[1::2] = EARLY, LATE
    return both


def by_number(dataset: Any, z: int) -> None:
    dataset.AcquisitionNumber = 5 + z % 2


def by_time(dataset: Any, z: int) -> None:
    dataset.AcquisitionTime = f"1015{10 + 35 * (z % 2) + z // 6}.5"


def by_one_time_each(dataset: Any, z: int) -> None:
    dataset.AcquisitionDateTime = f"20260101101{5 + z % 2}00"


def by_content_time(dataset: Any, z: int) -> None:
    dataset.ContentTime = f"10{15 + 2 * (z % 2)}{z:02d}"


def by_kernel(dataset: Any, z: int) -> None:
    dataset.ConvolutionKernel = ("B30f", "B70f")[z % 2]


def by_nothing(dataset: Any, z: int) -> None:
    """The values alone tell it."""


CHANGES = [by_number, by_time, by_one_time_each, by_content_time, by_kernel, by_nothing]


@pytest.mark.parametrize("change", CHANGES)
def test_two_woven_phases_are_listed_and_one_is_chosen(tmp_path: Path, change: Any) -> None:
    folder = write_series(tmp_path / "ct", woven(), replace(LOOK, change=change))
    with pytest.raises(InputError, match=r"got 2 acquisitions \(phases\) in one series[^:]*--acquisition N:") as caught:
        whole_ct(DicomReader(folder))
    listed = str(caught.value).splitlines()[1:]
    assert all(re.match(r"  \d: 12 slices, 3 mm apart, z from -\d{3}(\.5)? to -\d{3}(\.5)? mm", line) for line in listed)
    numbers = [int(line.split(":")[0]) for line in listed]
    assert numbers == ([5, 6] if change is by_number else [1, 2])
    for number, hu in zip(numbers, (EARLY, LATE), strict=True):
        chosen = DicomReader(folder, acquisition=number)
        assert chosen.grid.spacing_mm[0] == pytest.approx(3.0)
        np.testing.assert_array_equal(whole_ct(chosen).array, hu)
    with pytest.raises(InputError, match="got no acquisition 9 in the series; choose one of these"):
        DicomReader(folder, acquisition=9)


def test_the_time_between_is_told_and_not_the_time(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", woven(), replace(LOOK, change=by_one_time_each))
    with pytest.raises(InputError) as caught:
        DicomReader(folder)
    assert "60.0 s after the first" in str(caught.value)
    assert "1015" not in str(caught.value)


def test_two_phases_at_the_same_places(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", EARLY, replace(LOOK, change=lambda dataset, z: setattr(dataset, "AcquisitionNumber", 1)))
    write_series(folder / "b", LATE, replace(LOOK, change=lambda dataset, z: setattr(dataset, "AcquisitionNumber", 2)))
    with pytest.raises(InputError, match="got 2 acquisitions"):
        DicomReader(folder)
    np.testing.assert_array_equal(whole_ct(DicomReader(folder, acquisition=2)).array, LATE)


def rotations(dataset: Any, z: int) -> None:
    """Step and shoot: each rotation of the gantry gives four neighbours a number and a time."""
    dataset.AcquisitionNumber, dataset.AcquisitionTime = 1 + z // 4, f"10{15 + z // 4}00"


def numbered_one_by_one(dataset: Any, z: int) -> None:
    dataset.AcquisitionNumber, dataset.AcquisitionTime = 1 + (z * 7) % 12, f"1015{(z * 7) % 12:02d}"


def written_in_parallel(dataset: Any, z: int) -> None:
    """Images that several computers reconstructed."""
    dataset.ContentTime = f"1015{20 + (z * 5) % 3:02d}.{z % 4}"


def one_slip(dataset: Any, z: int) -> None:
    dataset.AcquisitionNumber = 2 if z == 5 else 1


def some_without_a_number(dataset: Any, z: int) -> None:
    if z % 2:
        dataset.AcquisitionNumber = 1


def times_that_are_none(dataset: Any, z: int) -> None:
    dataset.AcquisitionDateTime = f"2017{z}"
    dataset.ContentTime = ""


@pytest.mark.parametrize(
    "change", [rotations, numbered_one_by_one, written_in_parallel, one_slip, some_without_a_number, times_that_are_none]
)
def test_what_is_one_acquisition_is_read(tmp_path: Path, change: Any) -> None:
    folder = write_series(tmp_path / "ct", EARLY, replace(LOOK, change=change))
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, EARLY)


def test_one_of_two_stretches(tmp_path: Path) -> None:
    """Acquisitions one above the other, which make a volume together, can be chosen too."""

    def change(dataset: Any, z: int) -> None:
        dataset.AcquisitionNumber = 1 + z // 6

    folder = write_series(tmp_path / "ct", EARLY, replace(LOOK, change=change))
    np.testing.assert_array_equal(whole_ct(DicomReader(folder)).array, EARLY)
    np.testing.assert_array_equal(whole_ct(DicomReader(folder, acquisition=2)).array, EARLY[6:])


def test_no_acquisition_to_choose(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", EARLY, LOOK)
    with pytest.raises(InputError, match="--acquisition: the headers number no acquisitions"):
        DicomReader(folder, acquisition=1)


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_alternate(tmp_path: Path, seed: int) -> None:
    """Slices without anything in common are as far from the next as from the next but one."""
    noise = np.random.default_rng(seed).normal(0, 200, (12, 23, 21)).astype(np.int16)
    np.testing.assert_array_equal(whole_ct(DicomReader(write_series(tmp_path / "ct", noise, LOOK))).array, noise)


def test_three_woven_phases_that_only_their_values_tell_apart(tmp_path: Path) -> None:
    phases = [small_ct((12, 23, 21), seed=seed) for seed in (1, 2, 3)]
    noise = np.random.default_rng(7).integers(-9, 9, EARLY.shape).astype(np.int16)
    smooth = [np.repeat(phase[::4], 4, axis=0) + noise for phase in phases]  # slices of a phase are alike
    folder = write_series(tmp_path / "ct", np.stack(smooth, axis=1).reshape(36, 23, 21), Look(spacing_mm=(1.0, 0.8, 0.7)))
    with pytest.raises(InputError, match="got 3 acquisitions"):
        whole_ct(DicomReader(folder))
    for number in (1, 2, 3):
        np.testing.assert_array_equal(whole_ct(DicomReader(folder, acquisition=number)).array, smooth[number - 1])
