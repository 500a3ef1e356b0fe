"""The planner's tests plan for the engine's own scans and compare with a fake GPU."""

from tests.engine.conftest import ct, gpu

__all__ = ["ct", "gpu"]
