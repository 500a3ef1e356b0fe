"""What the tables of measurements share."""

from __future__ import annotations


def percent(share: float | None) -> str | None:
    """A share in whole per cent; None stays None."""
    return None if share is None else f"{100 * share:.0f}"
