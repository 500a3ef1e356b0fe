"""Which command brings a library that is missing."""

from __future__ import annotations

import pytest

from flare_trt.engine.base.extras import install_command


@pytest.mark.parametrize(
    ("package", "wanted", "command"),
    [
        ("onnx", "", "pip install 'flare-trt[bench]'"),  # the lightest of the four
        ("onnx", "tensorrt", "pip install 'flare-trt[tensorrt]'"),
        ("pydicom", "train", "pip install 'flare-trt[dicom]'"),  # the extra train does not bring it
        ("surface_distance", "", "pip install surface-distance"),  # its name in the registry is another
        ("monai", "train", "pip install monai"),
    ],
)
def test_the_command_names_an_extra_that_brings_the_package(package: str, wanted: str, command: str) -> None:
    assert install_command(package, wanted) == command
