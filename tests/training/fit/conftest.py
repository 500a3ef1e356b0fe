"""nnU-Net's look-up of trainers works in this environment."""

from __future__ import annotations

import pytest

from flare_trt.training.fit.torchvision_import import mend_torchvision


@pytest.fixture(scope="session", autouse=True)
def importable_torchvision() -> None:
    mend_torchvision()
