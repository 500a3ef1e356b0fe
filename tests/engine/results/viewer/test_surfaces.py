"""Surfaces of structures: closed, where the labels are in the patient, of their volume, looking out."""

from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.measures import measure_organs
from flare_trt.engine.results.viewer.surfaces import Surface, organ_surface

GRID = Grid((61, 85, 93), (1.5, 0.9, 0.8), (-31.0, 12.0, -400.0))
CENTRE_MM, RADII_MM = np.array((6.0, 52.0, -355.0)), np.array((24.0, 19.0, 30.0))


def places(grid: Grid) -> np.ndarray:
    z, y, x = np.indices(grid.shape_zyx)
    return np.stack([x, y, z], -1) * grid.spacing_mm[::-1] @ np.asarray(grid.direction).T + grid.origin_mm


def surface_of(labels: Volume) -> Surface:
    ct = Volume(np.zeros(labels.grid.shape_zyx, np.int16), labels.grid)
    (organ,) = measure_organs(ct, labels, {7: "liver"})
    surface = organ_surface(labels, organ)
    assert surface is not None
    return surface


def volume_ml(surface: Surface) -> float:
    a, b, c = (surface.vertices_mm[surface.triangles[:, at]].astype(float) for at in range(3))
    return abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6000


@pytest.mark.parametrize("orientation", ["SPL", "LIA"])
def test_an_ellipsoid(orientation: str) -> None:
    turn = Reorientation.to(GRID, orientation)
    grid = turn.grid(GRID)
    inside = (((places(grid) - CENTRE_MM) / RADII_MM) ** 2).sum(-1) < 1
    surface = surface_of(Volume(inside.astype(np.uint8) * 7, grid))
    away = (surface.vertices_mm * (-1, -1, 1) - CENTRE_MM) / RADII_MM
    assert np.abs(np.linalg.norm(away, axis=1) - 1).max() < 1.2 / RADII_MM.min()  # a thinned voxel is up to 2 mm
    assert volume_ml(surface) == pytest.approx(inside.sum() * grid.voxel_ml, rel=0.02)
    outwards = away / RADII_MM * (-1, -1, 1)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    assert (outwards * surface.normals).sum(1).min() > 0.9
    edges = np.sort(np.concatenate([surface.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1].tolist()) == {2}  # closed


def test_the_triangles_turn_one_way() -> None:
    inside = (((places(GRID) - CENTRE_MM) / RADII_MM) ** 2).sum(-1) < 1
    surface = surface_of(Volume(inside.astype(np.uint8) * 7, GRID))
    a, b, c = (surface.vertices_mm[surface.triangles[:, at]] for at in range(3))
    facing = (np.cross(b - a, c - a) * surface.normals[surface.triangles[:, 0]]).sum(1)
    assert (facing > 0).all() or (facing < 0).all()


def test_a_thin_structure_stays() -> None:
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[5:55, 40, 30:32] = 7  # 75 mm of a thread, 0.9 by 1.6 mm
    surface = surface_of(Volume(labels, GRID))
    assert 1 < volume_ml(surface) / (100 * GRID.voxel_ml) < 6  # thick enough to be seen
    assert np.ptp(surface.vertices_mm[:, 2]) == pytest.approx(75, abs=3)


def test_one_voxel_and_none() -> None:
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[0, 0, 0] = 7
    assert len(surface_of(Volume(labels, GRID)).triangles) >= 8
    ct = Volume(np.zeros(GRID.shape_zyx, np.int16), GRID)
    (organ,) = measure_organs(ct, Volume(labels * 0, GRID), {7: "liver"})
    assert organ_surface(ct, organ) is None


def test_bytes_are_vertices_with_normals_and_then_triangles() -> None:
    surface = Surface(3, np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32), np.array([[0, 1, 1]], np.uint32))
    raw = surface.as_bytes()
    assert np.frombuffer(raw[:48], "<f4").tolist() == [1, 1, 1, 0, 0, 0] * 2
    assert np.frombuffer(raw[48:], "<u4").tolist() == [0, 1, 1]
