"""What is pulled in: licences, bounds, and that the kept lists name it all."""

from __future__ import annotations

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.supply.dependencies import ROOT, Package, licences_page, lock, packages, project, sbom

FOUND = packages()


def test_no_gpl_slips_in() -> None:
    copyleft = re.compile(r"\bA?GPL", re.IGNORECASE)
    assert [package for package in FOUND if copyleft.search(package.licence)] == []
    assert [package for package in FOUND if package.licence == "not stated" and package.wanted_by == ("runtime",)] == []
    assert [package.name for package in FOUND if package.licence.startswith("LGPL")] == ["connected-components-3d"]


def test_every_runtime_dependency_has_a_lower_bound_that_is_met() -> None:
    versions = {package.name: package.version for package in FOUND}
    for text in project()["dependencies"]:
        requirement = Requirement(text)
        assert any(bound.operator == ">=" for bound in requirement.specifier), text
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text


def test_the_kept_lists_name_every_runtime_package() -> None:
    kept = [(ROOT / name).read_text() for name in ("docs/licences.md", "docs/sbom.cdx.json", "tests/lock.txt")]
    names = [package.name for package in FOUND if package.wanted_by == ("runtime",)]
    assert {"numpy", "openvino", "protobuf"} <= set(names)
    assert [name for name in names if not all(name in text for text in kept)] == []


def test_the_list_of_parts_is_cyclonedx() -> None:
    parts = json.loads((ROOT / "docs" / "sbom.cdx.json").read_text())
    assert (parts["bomFormat"], parts["specVersion"]) == ("CycloneDX", "1.5")
    assert all(part["purl"].startswith("pkg:pypi/") and part["version"] for part in parts["components"])


@pytest.mark.parametrize("write", [licences_page, sbom, lock])
def test_a_package_shows_in_each_list(write: object) -> None:
    text = write([Package("some-part", "1.2.3+cpu", "MIT", ("runtime",))])  # type: ignore[operator]
    assert "some-part" in text
    assert "1.2.3" in text
