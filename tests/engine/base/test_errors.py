"""Exit codes of the errors, and errors that are kept without what their frames hold."""

from __future__ import annotations

import errno
import weakref
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base import errors
from flare_trt.engine.base.errors import DeviceError, FlareError, InputError, OutputError, is_full, reason_of, without_frames


def test_a_missing_device_has_an_exit_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FlareError)]
    assert len(kinds) == 8
    assert {kind.__name__: kind.exit_code for kind in kinds if kind.exit_code != 1} == {"DeviceError": 3}


def test_a_reason_does_not_name_the_path_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "gone").open("rb")
    assert reason_of(caught.value) == "No such file or directory"
    assert reason_of(OSError("a word of a library")) == "a word of a library"
    assert reason_of(ValueError("no JSON")) == "no JSON"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES])
def test_a_full_disk_is_found_behind_an_error(number: int) -> None:
    full = number != errno.EACCES
    assert is_full(OSError(number, "words")) == full
    ours = OutputError("labels.nii.gz cannot be written")
    assert not is_full(ours)
    ours.__cause__ = OSError(number, "words")
    assert is_full(ours) == full


def fails(alive: list[weakref.ref[np.ndarray]], chained: bool) -> None:
    scan = np.zeros((3, 5, 7))
    alive.append(weakref.ref(scan))
    try:
        raise OSError("no room")
    except OSError as error:
        if chained:
            raise InputError("bad scan") from error
        raise DeviceError("no GPU")  # noqa: B904  # the context alone leads to the first error


@pytest.mark.parametrize("chained", [True, False], ids=["cause", "context"])
def test_a_kept_error_keeps_no_array(chained: bool) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    kept: list[FlareError] = []
    try:
        fails(alive, chained)
    except FlareError as error:
        kept.append(error)
    assert alive[0]() is not None, "the traceback holds the frame, which holds the scan"
    assert without_frames(kept[0]) is kept[0]
    assert alive[0]() is None
    assert isinstance(kept[0].__context__, OSError)
