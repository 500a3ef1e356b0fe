"""What the runtime and each extra pull in, with versions and licences, from the metadata of what is installed here.

    python -m tests.supply.dependencies

writes docs/licences.md, docs/sbom.cdx.json (CycloneDX 1.5) and tests/lock.txt from the environment that it runs in.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
#: Words of metadata -> SPDX name, first match wins.
_SPDX = (
    (r"lgpl|lesser general public", "LGPL"),
    (r"\bagpl|affero", "AGPL"),
    (r"\bgpl|gnu general public", "GPL"),
    (r"apache", "Apache-2.0"),
    (r"bsd|nilearn|3-clause", "BSD"),
    (r"\bmit\b|expat", "MIT"),
    (r"mozilla|mpl", "MPL-2.0"),
    (r"python software foundation|\bpsf", "PSF-2.0"),
    (r"nvidia|proprietary", "NVIDIA proprietary"),
    (r"\bisc\b", "ISC"),
    (r"hpnd", "HPND"),
)


@dataclass(frozen=True)
class Package:
    """A package and the extras that need it; "runtime" is what a plain install pulls in."""

    name: str
    version: str
    licence: str
    wanted_by: tuple[str, ...]


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def packages() -> tuple[Package, ...]:
    """Every installed package that the runtime or an extra reaches; what is not installed here is left out."""
    told = project()
    groups = {
        "runtime": told["dependencies"],
        **{name: wanted for name, wanted in told["optional-dependencies"].items() if name != "dev"},
    }
    reached: dict[str, set[str]] = {}
    for group, requirements in groups.items():
        for name in _closure(requirements):
            reached.setdefault(name, set()).add(group)
    found = []
    for name, wanted_by in sorted(reached.items()):
        groups_of = ("runtime",) if "runtime" in wanted_by else tuple(sorted(wanted_by))
        found.append(Package(name, metadata.version(name), licence_of(name), groups_of))
    return tuple(found)


def _closure(requirements: Iterable[str]) -> set[str]:
    found: set[str] = set()
    pending = [(Requirement(text), frozenset({""})) for text in requirements]
    while pending:
        requirement, extras = pending.pop()
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        if name in found or name == "flare-trt" or not wanted:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        pending += [(Requirement(text), frozenset({"", *requirement.extras})) for text in needed]
    return found


def licence_of(name: str) -> str:
    """The licence that a package's metadata states, as an SPDX name where it is clear."""
    told = metadata.metadata(name)
    if told.get("License-Expression"):
        return str(told["License-Expression"])
    classified = [line.rpartition("::")[2].strip() for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    text = "; ".join(line for line in classified if line != "OSI Approved") or str(told.get("License") or "").split("\n")[0]
    return next((spdx for pattern, spdx in _SPDX if re.search(pattern, text.lower())), text[:60] or "not stated")


def licences_page(found: Iterable[Package]) -> str:
    """docs/licences.md."""
    rows = [f"| {p.name} | {p.version} | {p.licence} | {', '.join(p.wanted_by)} |" for p in found]
    return "\n".join([_HEAD, "| package | tested version | licence | needed by |", "|---|---|---|---|", *rows, "", _WEIGHTS])


def sbom(found: Iterable[Package]) -> str:
    """A CycloneDX 1.5 list of what a plain install and its extras pull in. The same packages give the same bytes."""
    own = project()
    components = [
        {
            "type": "library",
            "name": p.name,
            "version": p.version,
            "purl": f"pkg:pypi/{p.name}@{p.version.partition('+')[0]}",
            "licenses": [{"license": {"name": p.licence}}],
            "scope": "required" if "runtime" in p.wanted_by else "optional",
        }
        for p in found
    ]
    licence = [{"license": {"id": own["license"]}}]
    subject = {"type": "application", "name": own["name"], "version": own["version"], "licenses": licence}
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": subject}}
    return json.dumps({**head, "components": components}, indent=1) + "\n"


def lock(found: Iterable[Package]) -> str:
    """A constraints file with the versions that the tests last ran with."""
    return "\n".join([_LOCK, *(f"{p.name}=={p.version.partition('+')[0]}" for p in found)]) + "\n"


_LOCK = """# Versions that the tests last passed with: the upper end of what is tested; pyproject.toml holds the lower end.
# Written by `python -m tests.supply.dependencies`. Use: pip install --constraint tests/lock.txt flare-trt"""
_HEAD = """# Licences

flare-trt is under Apache-2.0. What it pulls in, from the packages' own metadata, written by `python -m tests.supply.dependencies`;
a test holds that nothing under the GPL or AGPL slips in. The extras `gpu` and `tensorrt` bring NVIDIA's proprietary libraries, that
the user installs and that are never shipped. connected-components-3d is under the LGPL: it is imported as a library of its own and
can be replaced, and no part of it is in our files.
"""
_WEIGHTS = """## Weights

The wheel brings two models, `engine/model/models/default` and `tumours`, under Apache-2.0. Their `MODEL_CARD.md` name the scans
and the teacher that they were learned from, with their licences; the teacher's repository states one (Apache-2.0), but none for its
weights apart. The repository also keeps what `tests/golden/make_models.py` made for the tests. Any other bundle states the licence
of its weights (`bundle.json`: provenance.licence; `flare-trt info BUNDLE` shows it), which is not the code's.
"""


def main() -> None:
    """Write the three files."""
    found = packages()
    (ROOT / "docs" / "licences.md").write_text(licences_page(found))
    (ROOT / "docs" / "sbom.cdx.json").write_text(sbom(found))
    (ROOT / "tests" / "lock.txt").write_text(lock(found))


if __name__ == "__main__":
    main()
