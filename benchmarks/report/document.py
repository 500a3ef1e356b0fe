"""docs/benchmarks.md from the result files: the document holds no number that is not in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flare_trt.benchmarks.base.result_file import Result, load_result
from flare_trt.benchmarks.report.sections import SECTIONS
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import write_text

INTRODUCTION = """# Benchmarks

Made by `python -m flare_trt.benchmarks report` from the files in `benchmarks/results/`; not written by hand. A result whose
labels were wrong is refused: each carries what was checked and the limit. MB are 2^20 bytes, areas are under the memory-time curve.
Where other programs took much of the CPUs meanwhile, CPU seconds tell more than wall seconds.
Research software, not a medical device."""


def write_report(results: Path, document: Path) -> None:
    """Read all results of a folder and write the document, with its plots in the folder `img` beside it.

    Raises InputError where there is none, one is of an unknown kind, or one's checks did not hold.
    """
    found = read_results(results)
    images = document.parent / "img"
    images.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION]
    for benchmark, section in SECTIONS.items():
        own = {name: result for name, result in found.items() if result.benchmark == benchmark}
        if own:
            parts.append(f"## {section.title}\n\n{section.text}")
        for name, result in own.items():
            parts.append(f"### {name}\n\n{section.body(result, images / f'{name}.svg')}\n\n{origin(result)}")
    write_text(document, "\n\n".join(parts) + "\n")


def read_results(folder: Path) -> dict[str, Result]:
    """The results of a folder by file name, without the ending."""
    found = {path.stem: load_result(path) for path in sorted(folder.glob("*.json"))}
    if not found:
        raise InputError(f"{folder}: no result (*.json) in it; make some with --out")
    for name, result in found.items():
        if result.benchmark not in SECTIONS:
            raise InputError(f"{folder / name}.json: got a result of {result.benchmark!r}, expected one of {', '.join(SECTIONS)}")
        if result.broken:
            raise InputError(f"{folder / name}.json: its labels were wrong, so its times do not count: {'; '.join(result.broken)}")
    return found


def origin(result: Result) -> str:
    """What was checked, and where and with what it was measured."""
    checks = [f"{check['name']}: {check['measured']:.3g} (limit {check['limit']:.3g})" for check in result.checks]
    machine = result.machine
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['gpu'] or 'no GPU'}"
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    lines = [
        *checks,
        f"{result.made}, commit {result.commit}, on {where}; load average at the end {machine['load']}",
        versions,
        f"`{' '.join(result.command)}`",
    ]
    return _bullets(lines)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
