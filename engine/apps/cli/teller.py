"""What became of each scan of a batch: printed as it comes, counted, and kept as rows of the cohort's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flare_trt.engine.apps.cli.console import Console, organ_table, stage_table, where_it_ran
from flare_trt.engine.batch.case_numbers import reported
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.names import unique_names
from flare_trt.engine.batch.overlap import Outcome
from flare_trt.engine.batch.scan_steps import PartlyWrittenError
from flare_trt.engine.results.cohort import CaseNumbers
from flare_trt.engine.results.scan_report import ScanReport


@dataclass
class Teller:
    """Prints each outcome and counts the failures. `names` are the scans' names in the table."""

    console: Console
    jobs: int
    names: Mapping[Path, str]
    failed: int = field(default=0, init=False)
    cases: list[CaseNumbers] = field(default_factory=list, init=False)

    @staticmethod
    def of(jobs: Sequence[Job], console: Console) -> Teller:
        """A teller for these jobs."""
        return Teller(console, len(jobs), unique_names([job.scan for job in jobs]))

    def tell(self, outcome: Outcome[Job, ScanReport]) -> None:
        """Called once a job, in order."""
        case = self.names[outcome.job.scan]
        if outcome.written is None:
            self.failed += 1
            words = str(outcome.error) or type(outcome.error).__name__
            self.console.complain(f"flare-trt: {outcome.job.scan.name} failed: {words}")
            kept = outcome.error.report if isinstance(outcome.error, PartlyWrittenError) else None
            self.cases.append(CaseNumbers(case, error=words) if kept is None else reported(case, kept))
            return
        report = outcome.written
        self.cases.append(reported(case, report))
        for warning in report.warnings:
            self.console.complain(f"flare-trt: {outcome.job.scan.name}: {warning}")
        if self.jobs == 1:
            self.console.line(f"{where_it_ran(report)}\n\n{organ_table(report)}\n\n{stage_table(report)}\n")
        found = sum(organ.voxels > 0 for organ in report.organs)
        seconds = sum(report.run.stages.values())
        self.console.line(f"{outcome.job.labels}: {found} of {len(report.organs)} structures in {seconds:.1f} s")

    def sum_up(self) -> int:
        """Print the last line of a batch. Returns the exit code."""
        if self.jobs > 1:
            self.console.line(f"{self.jobs - self.failed} of {self.jobs} scans segmented, {self.failed} failed")
        return 1 if self.failed else 0
