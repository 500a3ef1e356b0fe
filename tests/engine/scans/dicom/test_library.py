"""The door to pydicom: what is missing is named, and inside `quiet` nothing of a header reaches a log, a warning or an error."""

from __future__ import annotations

import warnings

import pydicom
import pytest
from pydicom import config
from pydicom.errors import BytesLengthException, InvalidDicomError

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet


def test_what_is_not_installed_is_named_with_the_extra() -> None:
    assert library("pydicom.uid") is pydicom.uid
    with pytest.raises(InputError, match=r"DICOM: no_such_library is not installed; pip install 'flare-trt\[dicom\]'"):
        library("no_such_library.part")


def test_values_are_neither_checked_nor_shown_and_all_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    before = config.logger.level, config.settings.reading_validation_mode, config.settings.writing_validation_mode
    header = pydicom.Dataset()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet():
            header.Modality = "nomen omen, in small letters"  # no code string
            config.logger.warning("NOMEN")
            warnings.warn("NOMEN", stacklevel=1)
    assert (seen, caplog.text) == ([], "")
    assert before == (config.logger.level, config.settings.reading_validation_mode, config.settings.writing_validation_mode)


@pytest.mark.parametrize("error", [InvalidDicomError, BytesLengthException])
def test_errors_of_the_library_lose_their_words(error: type[Exception]) -> None:
    level = config.logger.level
    with pytest.raises(ValueError, match=rf"^{error.__name__}$") as caught, quiet():
        raise error("NOMEN")
    assert isinstance(caught.value, LIBRARY_ERRORS)
    assert (caught.value.__suppress_context__, config.logger.level) == (True, level)
