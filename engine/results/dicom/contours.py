"""Closed polygons around a mask on one plane, along the edges of its pixels: area and voxels come back exactly.

A hole is joined to the polygon around it by a keyhole, a channel of no width (PS3.3, C.8.8.6.3), so that every polygon is one
closed curve that reads alike under the even-odd and the non-zero rule. Corners lie at whole numbers plus a half, where no
pixel's centre is, so whatever tests centres gives the mask back. Pixels that touch at a corner only count as apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: A corner of the pixel grid: (x, y), corner (0, 0) being the upper left one of pixel (0, 0).
Corner = tuple[int, int]
Loop = list[Corner]

_RIGHT, _DOWN, _LEFT, _UP = (1, 0), (0, 1), (-1, 0), (0, -1)


def mask_polygons(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Polygons (n, 2) as (x, y) in pixels, the centre of pixel [0, 0] being (0, 0); the last corner joins the first one."""
    loops = _loops(mask)
    outer = [loop for loop in loops if _area(loop) > 0]
    holes = sorted((loop for loop in loops if _area(loop) < 0), key=min)
    joined = _with_keyholes(mask, outer, holes)
    return [np.array(_corners(loop), float) - 0.5 for loop in joined]


def _loops(mask: NDArray[np.bool_]) -> list[Loop]:
    """Boundary loops in steps of one pixel, the mask on the right hand (y runs down): outer ones clockwise, holes against it."""
    ways = _edges(mask)
    loops = []
    while ways:
        start = next(iter(ways))
        corner, heading = first = start, ways[start][0]
        loop: Loop = []
        while True:
            loop.append(corner)
            following = (corner[0] + heading[0], corner[1] + heading[1])
            onward = ways[following]
            turn = (-heading[1], heading[0])  # to the right hand: stays with the same pixel where two touch at a corner
            corner, heading = following, turn if turn in onward else onward[0]
            if (corner, heading) == first:
                break
            _take(ways, corner, heading)
        _take(ways, *first)
        loops.append(loop)
    return loops


def _edges(mask: NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Corner -> the headings of the boundary edges that leave it."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    ways: dict[Corner, list[Corner]] = {}
    for heading, neighbour, shift in (
        (_RIGHT, padded[:-2, 1:-1], (0, 0)),
        (_DOWN, padded[1:-1, 2:], (1, 0)),
        (_LEFT, padded[2:, 1:-1], (1, 1)),
        (_UP, padded[1:-1, :-2], (0, 1)),
    ):
        for y, x in np.argwhere(inside & ~neighbour).tolist():
            ways.setdefault((x + shift[0], y + shift[1]), []).append(heading)
    return ways


def _take(ways: dict[Corner, list[Corner]], corner: Corner, heading: Corner) -> None:
    ways[corner].remove(heading)
    if not ways[corner]:
        del ways[corner]


def _with_keyholes(mask: NDArray[np.bool_], outer: list[Loop], holes: list[Loop]) -> list[Loop]:
    """The outer loops with each hole spliced in, from its leftmost corner straight to the left, where the mask ends.

    Holes come from left to right, so what lies to a hole's left is an outer loop or a hole that has been spliced in already.
    """
    owner = {edge: loop for loop in outer for edge in _upward(loop)}
    for hole in holes:
        x, y = min(hole)
        row = mask[y]
        left = x
        while left > 0 and row[left - 1]:
            left -= 1
        host = owner[(left, y + 1)]
        at = next(i for i, corner in enumerate(host) if corner == (left, y + 1) and host[(i + 1) % len(host)] == (left, y))
        first = hole.index((x, y))
        around = hole[first:] + hole[: first + 1]
        channel = [(at_x, y) for at_x in range(left, x)]
        host[at + 1 : at + 1] = [*channel, *around, *reversed(channel[1:])]
        owner.update(dict.fromkeys(_upward(hole), host))
    return outer


def _upward(loop: Loop) -> list[Corner]:
    """The lower corners of the loop's edges that run up: the left edges of its pixels."""
    return [corner for corner, following in zip(loop, loop[1:] + loop[:1], strict=True) if following[1] < corner[1]]


def _area(loop: Loop) -> float:
    """Signed area in pixels: positive clockwise (y runs down)."""
    x, y = np.array(loop).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _corners(loop: Loop) -> Loop:
    """The loop without the points at which it runs straight on."""
    before, after = [loop[-1], *loop[:-1]], [*loop[1:], loop[0]]
    kept = []
    for (ax, ay), corner, (bx, by) in zip(before, loop, after, strict=True):
        if (corner[0] - ax, corner[1] - ay) != (bx - corner[0], by - corner[1]):
            kept.append(corner)
    return kept
