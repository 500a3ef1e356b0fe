"""Which series of a study is read: by its UID, by rules, or the only one there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.facts import facts_of
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.rules import pick
from flare_trt.engine.scans.dicom.series import find_series


@dataclass(frozen=True)
class SeriesChoice:
    """`uid` names the series; `rules` (see rules.RULES) find it by what it is. Neither: the study has to hold one series.

    `acquisition` is the number of one of several acquisitions (phases) in the series. `correct_tilt` resamples a series of a tilted
    gantry onto an upright grid, which is refused without.
    """

    uid: str | None = None
    rules: tuple[str, ...] = ()
    acquisition: int | None = None
    correct_tilt: bool = False

    def __post_init__(self) -> None:
        if self.uid is not None and self.rules:
            raise InputError("got --series and --pick, expected one of them: a UID leaves nothing to pick")

    def open(self, path: Path) -> DicomReader:
        """The chosen series of a folder or zip. Raises InputError, listing the candidates, where the choice is not one series."""
        if not self.rules:
            return DicomReader(path, self.uid, acquisition=self.acquisition, correct_tilt=self.correct_tilt)
        series = find_series(path)
        facts = [facts_of(one, self.acquisition, self.correct_tilt) for one in series]
        try:
            chosen = pick(facts, self.rules)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        found = series[facts.index(chosen)]
        return DicomReader(path, series=found, acquisition=self.acquisition, correct_tilt=self.correct_tilt)


#: No choice: the study has to hold one series.
ONLY_SERIES = SeriesChoice()
