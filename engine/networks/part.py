"""A part of a network that one engine runs where another one runs what is before it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """By their names in the file: the tensors that are `wanted`, where somebody else computes the tensor that is `given`."""

    given: str
    wanted: tuple[str, ...]
