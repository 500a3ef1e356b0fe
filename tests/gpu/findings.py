"""What one step of the gate found, kept on disk as it goes, so that a step that is killed leaves what it had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flare_trt.engine.base.files import write_json


class CouldNotDoError(Exception):
    """This machine lacks what a step needs; the message says what. Not a failure."""


@dataclass
class Findings:
    """`problems` fail the gate; `notes` say what could not be done; `checks` are measured <= limit, as in a result file."""

    file: Path
    data: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def keep(self) -> None:
        """Write everything so far."""
        told = {"data": self.data, "checks": self.checks, "problems": self.problems, "notes": self.notes}
        write_json(self.file, told)

    def check(self, name: str, measured: float, limit: float) -> None:
        """Note what has to hold for the numbers to count."""
        self.checks.append({"name": name, "measured": measured, "limit": limit})

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of a step: what it raises is noted, and the next part goes on."""
        try:
            yield
        except CouldNotDoError as reason:
            self.notes.append(f"{name}: {reason}")
        except Exception as error:  # noqa: BLE001  whatever a part raises, the next one goes on
            self.problems.append(f"{name}: {type(error).__name__}: {error}")
        self.keep()
