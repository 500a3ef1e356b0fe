"""TensorRT's messages, passed on to Python's logging; errors are kept, so that an exception can quote them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorrt as trt

_LOG = logging.getLogger(__name__)


def make_logger(errors: list[str]) -> trt.ILogger:
    """A logger that also puts TensorRT's errors into a list. Make one only where there is a GPU."""
    import tensorrt as trt

    class Logger(trt.ILogger):  # type: ignore[misc]  # tensorrt has no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                errors.append(msg)
                _LOG.error("TensorRT: %s", msg)
            elif severity == trt.ILogger.Severity.WARNING:
                _LOG.warning("TensorRT: %s", msg)
            else:
                _LOG.debug("TensorRT: %s", msg)

    return Logger()
