"""The golden model folders, and plans that a test may change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.golden.variants import MODELS, golden_folder

from flare_trt.export.json_file import JsonObject

Golden = Callable[[str], Path]


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """A golden model folder by name (tests/golden/variants.py)."""
    scratch = tmp_path_factory.mktemp("golden")
    return lambda name: golden_folder(name, scratch)


@pytest.fixture
def plans() -> JsonObject:
    """The plans of the golden folder "plain", to change at will."""
    return JsonObject(json.loads((MODELS / "plain" / "plans.json").read_text()), "plans.json")


@pytest.fixture
def fullres(plans: JsonObject) -> dict[str, Any]:
    """The data of the configuration 3d_fullres inside `plans`."""
    data: dict[str, Any] = plans.data["configurations"]["3d_fullres"]
    return data
