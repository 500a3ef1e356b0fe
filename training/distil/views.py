"""Teacher views: random affine resamplings of real CTs with the teacher's soft labels, made once and kept in a cache folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flare_trt.engine.base.volume import Volume
from flare_trt.kernels import Intensity
from flare_trt.training.distil.clean import clean_shares
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.scans import read_upright_ct
from flare_trt.training.distil.soft_labels import SoftLabels, halved, soft_labels
from flare_trt.training.distil.warp import Lattice, Vector, WarpRange, draw_warp, sample
from flare_trt.training.distil.windows import Network, Triple, probabilities

#: HU of air, and what lies outside a scan.
AIR_HU = -1000


@dataclass(frozen=True)
class Teacher:
    """A trained network and the images that it expects: SPL orientation, this spacing, patch and normalisation."""

    network: Network
    spacing_mm: Vector
    patch_zyx: Triple
    intensity: Intensity


@dataclass(frozen=True)
class View:
    """int16 HU (z, y, x) in SPL orientation and the teacher's soft labels; the arrays may be memory maps.

    `labels` lie on the image's voxels, `half_labels` on blocks of 2x2x2 of them, for students of a coarser spacing.
    """

    image_hu: NDArray[np.int16]
    labels: SoftLabels
    half_labels: SoftLabels
    spacing_mm: Vector


def make_views(config: DistilConfig, cache: Path, threads: int) -> None:
    """Make the views of the configuration that the cache lacks, the first one of each CT unwarped."""
    from flare_trt.engine.networks.session import SessionOptions, open_session

    session = open_session("openvino", Path(config.teacher.onnx), SessionOptions(threads=threads))
    teacher = Teacher(session.run, config.teacher.spacing_mm, config.teacher.patch_zyx, config.teacher.intensity)
    for index in range(config.data.views_per_ct):
        for number, ct in enumerate(config.data.cts):
            folder = cache / f"{Path(ct).parent.name}-{index:03d}"
            if not folder.exists():
                rng = np.random.default_rng([config.seed, number, index])
                limits = config.data.view_warp if index else WarpRange((0.0, 0.0, 0.0), 0.0, 0.0)
                write_view(make_view(read_upright_ct(Path(ct)), teacher, rng, limits), folder)
    session.close()


def open_views(cache: Path) -> list[View]:
    """All whole views of a cache, in order of their names."""
    return [open_view(file.parent) for file in sorted(cache.glob("*/view.json")) if not file.parent.name.endswith(".partial")]


def make_view(ct: Volume, teacher: Teacher, rng: np.random.Generator, limits: WarpRange) -> View:
    """One random affine view of an SPL CT at the teacher's spacing, labelled by the teacher."""
    warp = draw_warp(rng, limits)
    extent_mm = np.array(ct.grid.shape_zyx) * np.array(ct.grid.spacing_mm)
    zoomed_mm = extent_mm / np.linalg.norm(warp.matrix, axis=0)
    z, y, x = (max(1, round(float(length / mm))) for length, mm in zip(zoomed_mm, teacher.spacing_mm, strict=True))
    lattice = Lattice((z, y, x), teacher.spacing_mm, centre_mm(ct.grid.shape_zyx, ct.grid.spacing_mm))
    above_air = torch.from_numpy(np.maximum(ct.array, AIR_HU).astype(np.float32) - AIR_HU)[None]
    hu = sample(above_air, ct.grid.spacing_mm, lattice, warp)[0].numpy() + AIR_HU
    shares = probabilities(teacher.network, normalise(hu, teacher.intensity), teacher.patch_zyx)
    clean_shares(shares, float(np.prod(teacher.spacing_mm)) / 1000)
    return View(np.rint(hu).astype(np.int16), soft_labels(shares), soft_labels(halved(shares)), teacher.spacing_mm)


def centre_mm(shape_zyx: Triple, spacing_mm: Vector) -> Vector:
    """Centre of an array in mm from the centre of its voxel 0."""
    z, y, x = ((size - 1) / 2 * mm for size, mm in zip(shape_zyx, spacing_mm, strict=True))
    return z, y, x


def normalise(hu: NDArray[np.float32], intensity: Intensity) -> NDArray[np.float32]:
    """Clip and scale HU as the networks expect them."""
    clipped = np.clip(hu, intensity.low_hu, intensity.high_hu)
    return ((clipped - intensity.mean_hu) / intensity.std_hu).astype(np.float32)


def write_view(view: View, folder: Path) -> None:
    """Write a view as a folder of .npy files, under a temporary name until it is whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "image.npy", view.image_hu)
    for name, labels in (("labels", view.labels), ("half_labels", view.half_labels)):
        np.save(partial / f"{name}_classes.npy", labels.classes)
        np.save(partial / f"{name}_shares.npy", labels.shares)
    (partial / "view.json").write_text(json.dumps({"spacing_mm": view.spacing_mm}), "utf-8")
    partial.rename(folder)


def open_view(folder: Path) -> View:
    """Open a view that `write_view` wrote; the arrays are memory maps."""
    z, y, x = json.loads((folder / "view.json").read_text("utf-8"))["spacing_mm"]
    labels, half_labels = (
        SoftLabels(*(np.load(folder / f"{name}_{part}.npy", mmap_mode="r") for part in ("classes", "shares")))
        for name in ("labels", "half_labels")
    )
    return View(np.load(folder / "image.npy", mmap_mode="r"), labels, half_labels, (z, y, x))
