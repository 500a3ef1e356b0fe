"""Packages of the extras and of the tests, which the runtime does without."""

from __future__ import annotations

from importlib.util import find_spec

from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.base.extras import install_command


def require(package: str) -> None:
    """Raise FlareError, saying how to get it, where a package cannot be imported."""
    if find_spec(package) is None:
        raise FlareError(f"this needs the package {package}, which is not installed; {install_command(package)}")
