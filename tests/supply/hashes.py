"""The runtime's packages with the hashes of their Linux x86_64 wheels, as the registry states them.

    python -m tests.supply.hashes

writes tests/lock-runtime.txt for CPython 3.11 to 3.13, at the versions of tests/lock.txt. It is a file of its own because pip
checks hashes of all packages or of none, and most of the lock file is for development alone. Run it with the oldest Python: pip
reads conditions on the version as the interpreter that it runs on, and the oldest needs the most packages.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.supply.dependencies import ROOT, project

PYTHONS = ("3.11", "3.12", "3.13")
#: What a glibc of 2.28 or later may install, newest first: pip takes these by name alone.
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
_PLATFORMS += [f"manylinux{name}_x86_64" for name in ("2014", "2010", "1")]

HEAD = """# What a plain install pulls in on Linux x86_64, CPython 3.11 to 3.13, with the hashes of its wheels.
# Written by `python -m tests.supply.hashes`. Use: pip install --require-hashes --requirement tests/lock-runtime.txt"""


def report(python: str) -> dict[str, Any]:
    """What pip would install for this Python: its report. Only metadata is fetched; local indexes do not count."""
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    words += ["--only-binary", ":all:", "--python-version", python, "--constraint", str(ROOT / "tests" / "lock.txt")]
    for platform in _PLATFORMS:
        words += ["--platform", platform]
    environment = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    with tempfile.TemporaryDirectory() as nowhere:
        words += ["--target", nowhere, *project()["dependencies"]]
        done = subprocess.run(
            words, env={**environment, "PIP_CONFIG_FILE": os.devnull}, stdout=subprocess.PIPE, text=True, check=True
        )
    return dict(json.loads(done.stdout))


def hashed_lock(reports: Iterable[dict[str, Any]]) -> str:
    """A requirements file of what the reports name; each package once, with the SHA-256 of each wheel."""
    hashes = defaultdict(set)
    for told in reports:
        for part in told["install"]:
            name = re.sub(r"[-_.]+", "-", part["metadata"]["name"]).lower()
            sha256 = part["download_info"]["archive_info"]["hashes"]["sha256"]
            hashes[f"{name}=={part['metadata']['version']}"].add(f"--hash=sha256:{sha256}")
    parts = sorted(hashes.items(), key=lambda part: part[0].partition("==")[0])
    return "\n".join([HEAD, *(" \\\n    ".join([pin, *sorted(found)]) for pin, found in parts)]) + "\n"


if __name__ == "__main__":
    (ROOT / "tests" / "lock-runtime.txt").write_text(hashed_lock(map(report, PYTHONS)))
