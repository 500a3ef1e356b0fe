"""What a label of a bundle may be: its colour goes into pictures and pages, so it is a colour and nothing else."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.model.spec import LabelSpec


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#12345g", "#123456;background:url(x)", "", "#123456\n"])
def test_a_colour_that_is_none_is_refused(colour: str) -> None:
    with pytest.raises(BundleError, match=r"colour: got .* expected #rrggbb"):
        LabelSpec(1, "liver", colour)


def test_colours() -> None:
    assert LabelSpec(1, "liver", "#aAbB09").colour == "#aAbB09"
