"""A pool of drawn patches, for the tests of what is cut from it and of the training."""

from __future__ import annotations

from pathlib import Path

import pytest

from flare_trt.training.tumours.pool import fill_pool
from tests.training.tumours.tumour_fixtures import abdomen_view, tumour_config


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    fill_pool([abdomen_view(), abdomen_view("crlm_1004")], tumour_config(), folder, range(6), 4)
    return folder
