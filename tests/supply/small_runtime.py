"""A process that can import no more than the small runtime brings, whatever else is installed beside it.

    python -m tests.supply.small_runtime WORDS... [-- WORDS...]...

runs the commands one after the other and prints, as JSON, each one's exit code and what it printed.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.abc import MetaPathFinder
from types import ModuleType


def packages() -> set[str]:
    """flare-trt and all that it needs without extras, by their names in the registry."""
    found: set[str] = set()
    open_ends = ["flare-trt"]
    while open_ends:
        name = _plain(open_ends.pop())
        if name not in found:
            found.add(name)
            with contextlib.suppress(metadata.PackageNotFoundError):
                needs = [text for text in metadata.requires(name) or () if "extra ==" not in text]
                open_ends += [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in needs]
    return found


class Blocker(MetaPathFinder):
    """Makes every import of another package fail as if it were not installed."""

    def __init__(self) -> None:
        small = packages()
        brought_by = metadata.packages_distributions()
        others = {top for top, names in brought_by.items() if not small & set(map(_plain, names))}
        self.blocked = others - sys.stdlib_module_names - {"flare_trt", "tests"}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Refuse a blocked package; leave others to the finders that follow."""
        if name.split(".")[0] in self.blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run(words: Sequence[str]) -> tuple[int | str, str]:
    """A command's exit code, or its traceback, and what it printed."""
    from flare_trt.engine.apps.cli import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code: int | str = main(words)
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:  # noqa: BLE001  # whatever it is, the test shows it
            code = traceback.format_exc()
    return code, printed.getvalue()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in words:
        if word == "--":
            yield command
            command = []
        else:
            command.append(word)
    yield command


if __name__ == "__main__":
    sys.meta_path.insert(0, Blocker())
    print(json.dumps([run(command) for command in _split(sys.argv[1:])]))
