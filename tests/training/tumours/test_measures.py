"""What is measured about each voxel, on tiles whose organs and lesions are boxes."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from flare_trt.training.tumours.measures import (
    BOXES,
    FINE_MEASURES,
    MEASURES,
    PER_50_HU,
    _mean_over,
    levels_of,
    measures,
    shares_of,
)
from flare_trt.training.tumours.measures import (
    LIVER as LIVER_LABEL,
)

#: Places among the measures: soft tissue, the contrast to the organs nearby, to the liver, to the own organ.
TISSUE, CONTRAST, TO_LIVER, OF_ORGAN = 0, 2, 3, 4
LIVER, SPLEEN, LESION = 0.5, 1.0, 0.0


def two_organs() -> tuple[torch.Tensor, torch.Tensor]:
    """Liver of 0.5 with a lesion of 0 in it that the organs' network takes for background, spleen of 1, in normalised values."""
    image, organs = torch.full((1, 1, 32, 48, 80), -1.0), torch.zeros(1, 14, 32, 48, 80)
    organs[:, 0] = 30
    for label, value, start in ((1, LIVER, 0), (3, SPLEEN, 48)):
        image[..., start : start + 32], organs[:, 0, ..., start : start + 32], organs[:, label, ..., start : start + 32] = (
            value,
            0,
            30,
        )
    lesion = (..., slice(8, 24), slice(16, 32), slice(8, 24))
    image[lesion], organs[:, 0][lesion], organs[:, 1][lesion] = LESION, 30, 0
    return image, organs


def measured(image: torch.Tensor, organs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    shares = shares_of(organs)
    return measures(image, shares, levels_of(image, shares))


def test_a_crop_is_measured_by_the_organs_of_its_tile() -> None:
    """A crop within a lesion shows no organ at all, and still knows how dark it is."""
    image, organs = two_organs()
    shares = shares_of(organs)
    levels = levels_of(image, shares)
    fine, half = measures(image[..., 10:22, 18:30, 10:22], shares[..., 5:11, 9:15, 5:11], levels)
    whole_fine, whole_half = measures(image, shares, levels)
    torch.testing.assert_close(fine, whole_fine[..., 10:22, 18:30, 10:22])
    torch.testing.assert_close(half[:, TO_LIVER], whole_half[:, TO_LIVER, 5:11, 9:15, 5:11])
    assert abs(float(levels.of(LIVER_LABEL)[0]) - LIVER * PER_50_HU) < 0.03


def test_a_lesion_is_as_dark_as_it_is_though_no_organ_holds_it() -> None:
    fine, found = measured(*two_organs())
    assert fine.shape == (1, FINE_MEASURES, 32, 48, 80)
    assert found.shape == (1, MEASURES, 16, 24, 40)
    assert abs(float(fine[0, 1, 16, 24, 16]) - (LESION - LIVER) * PER_50_HU) < 0.03
    middle, sound, spleen = found[0, :, 8, 12, 8], found[0, :, 1, 1, 8], found[0, :, 8, 12, 32]
    assert abs(float(middle[TO_LIVER]) - (LESION - LIVER) * PER_50_HU) < 0.03
    assert -1.5 < float(middle[CONTRAST]) < -1.2, "70 HU darker than the liver about it"
    assert abs(float(sound[CONTRAST])) < 0.1
    assert abs(float(spleen[OF_ORGAN])) < 0.02
    assert abs(float(spleen[TO_LIVER]) - (SPLEEN - LIVER) * PER_50_HU) < 0.03
    assert abs(float(sound[TISSUE]) - LIVER * PER_50_HU) < 1e-5


def test_a_mean_over_a_box_counts_what_lies_in_the_tile() -> None:
    values = torch.rand((1, 1, 9, 13, 22), generator=torch.Generator().manual_seed(0))
    ones = np.ones(values.shape[2:], np.float32)
    for box in BOXES[:4]:
        sums, counts = (ndimage.uniform_filter(array, box, mode="constant") for array in (values[0, 0].numpy(), ones))
        np.testing.assert_allclose(_mean_over(values, box)[0, 0].numpy(), sums / counts, atol=1e-5)


def test_without_an_organ_all_measures_are_finite() -> None:
    image, organs = torch.full((1, 1, 16, 32, 48), -6.0), torch.zeros(1, 14, 16, 32, 48)
    organs[:, 0] = 30
    assert all(bool(torch.isfinite(part).all()) for part in measured(image, organs))
