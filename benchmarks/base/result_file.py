"""A benchmark's result as a JSON file: where it ran, how, whether its labels were right, and the raw numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.machine import commit, installed_versions, this_machine, without_places
from flare_trt.engine.base.errors import InputError, reason_of
from flare_trt.engine.base.files import write_json
from flare_trt.engine.model.spec import Check


@dataclass(frozen=True)
class Result:
    """`checks` say what had to hold for the numbers to count: measured <= limit. `data` is the benchmark's own."""

    benchmark: str
    made: str
    machine: dict[str, Any]
    versions: dict[str, str]
    commit: str
    command: list[str]
    checks: list[dict[str, Any]]
    data: dict[str, Any]

    @property
    def broken(self) -> list[str]:
        """The checks that did not hold, in words; a check that could not be measured did not hold."""
        return [
            f"{check['name']}: {check['measured']}, limit {check['limit']}"
            for check in self.checks
            if check["measured"] is None or not check["measured"] <= check["limit"]
        ]


def new_result(benchmark: str, checks: Sequence[Check], data: dict[str, Any]) -> Result:
    """A result of the benchmark that runs now, on this machine."""
    return Result(
        benchmark=benchmark,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=asdict(this_machine()),
        versions=installed_versions(),
        commit=commit(),
        command=["flare-trt", "bench", *without_places(word for word in sys.argv[1:] if word != "bench")],
        checks=[asdict(check) for check in checks],
        data=data,
    )


def save_result(path: Path, result: Result) -> None:
    """Write it. Raises OutputError."""
    write_json(path, asdict(result))


def load_result(path: Path) -> Result:
    """Read it. Raises InputError where the file is no result."""
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a benchmark result: {reason_of(error)}") from error
