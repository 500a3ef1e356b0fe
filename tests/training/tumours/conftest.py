"""A pool of drawn patches, for the tests of what is cut from it and of the training."""

from __future__ import annotations

import pytest

from flare_trt.training.tumours.pool import Pool
from tests.training.tumours.tumour_fixtures import abdomen_view, organs_by_value, tumour_config


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    made = Pool(tmp_path_factory.mktemp("pool"))
    made.fill([abdomen_view(), abdomen_view("crlm_1004")], tumour_config(), organs_by_value, range(6), 4)
    return made
