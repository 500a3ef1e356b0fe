"""The good inputs that are damaged, made by script: the same bytes on every machine."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.scans.nifti_files import AXIAL, Forms, affine, header_for
from tests.golden.variants import MODELS

_ROTATED = affine([[0.0, -1.0, 0.0], [0.8, 0.0, 0.6], [0.6, 0.0, -0.8]], (1.5, 2.0, 3.0), (5.0, -7.0, 9.0))


def _nifti(array: np.ndarray, forms: Forms, slope: float = 1.0, intercept: float = 0.0, skip: int = 4) -> bytes:
    header = header_for(array, forms)
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, intercept, 348 + skip
    return bytes(header.binaryblock) + bytes(skip) + array.tobytes()


@cache
def scans() -> list[bytes]:
    """CTs of odd sizes in several types, byte orders and orientations, plain."""
    hu = np.random.default_rng(3).integers(-1000, 400, (7, 9, 11))
    return [
        _nifti(hu.astype("<i2"), AXIAL),
        _nifti(hu.astype(">f4"), Forms(qform=_ROTATED, qform_code=1)),
        _nifti((hu + 1024).astype("<u2"), Forms(AXIAL.sform, 2, AXIAL.sform, 1), intercept=-1024.0, skip=20),
        _nifti((hu // 2).astype("<i4"), Forms(sform=_ROTATED, sform_code=3), slope=2.0),
        _nifti(hu[:3].astype("<f8"), Forms()),
    ]


@cache
def gzipped_scans() -> list[bytes]:
    """The same, gzipped: with a name in the header, stored, and in two members."""
    packed = [gzip.compress(scan, level, mtime=0) for level, scan in enumerate(scans())]
    first = scans()[0]
    return [*packed, gzip.compress(first[:400], mtime=0) + gzip.compress(first[400:], 9, mtime=0)]


@cache
def label_maps() -> list[bytes]:
    """Label maps as `evaluate` reads them."""
    labels = np.random.default_rng(4).integers(0, 15, (6, 8, 7))
    return [_nifti(labels.astype(kind), AXIAL) for kind in ("u1", "<i2", ">f4")]


@cache
def _bundle_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = fake_bundle(Path(folder) / "bundle", fake_spec(coarse=True))
        return {path.name: path.read_bytes() for path in sorted(bundle.iterdir())}


def bundle_networks() -> dict[str, bytes]:
    """Name -> bytes of the fake networks that the seeds of bundle.json name."""
    return {name: data for name, data in _bundle_files().items() if name.endswith(".onnx")}


@cache
def bundle_specs() -> list[bytes]:
    """A bundle.json with two stages and one with one."""
    whole = _bundle_files()["bundle.json"]
    return [whole, json.dumps({**json.loads(whole), "coarse": None}).encode()]


@cache
def bundle_zips() -> list[bytes]:
    """Zipped bundles: files at the top, and in one folder."""
    found = []
    for prefix in ("", "model/"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in _bundle_files().items():
                archive.writestr(zipfile.ZipInfo(prefix + name), data)
        found.append(packed.getvalue())
    return found


@cache
def networks() -> list[bytes]:
    """Small ONNX files: one convolution, convolutions with instance normalisation, a U-Net that our own kernels know."""
    from tests.engine.networks.separable_net import separable_net
    from tests.engine.tiny_bundle import write_network
    from tests.properties.noise_model import write_noise_network

    with tempfile.TemporaryDirectory() as folder:
        files = [write_network(Path(folder) / "bands.onnx"), write_noise_network(Path(folder) / "noise.onnx", 0)]
        files.append(separable_net(Path(folder) / "separable.onnx", (6, 10, 14), ((1, 1, 1), (2, 2, 2))))
        return [file.read_bytes() for file in files]


@cache
def plans() -> list[bytes]:
    """plans.json of the golden folders."""
    return [(MODELS / name / "plans.json").read_bytes() for name in ("plain", "residual", "regions")]


@cache
def datasets() -> list[bytes]:
    """dataset.json of the golden folders."""
    return [(MODELS / name / "dataset.json").read_bytes() for name in ("plain", "regions")]


class Bomb:
    """A pickle that writes a file when it is loaded by an unpickler that runs what it reads."""

    marker = "bomb-went-off"

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return Path.write_text, (Path(self.marker), "ran")  # type: ignore[return-value]  # pickle calls it with a Path


@cache
def checkpoints() -> list[bytes]:
    """nnU-Net checkpoints with tiny weights: sound, in torch's old format, and with code inside."""
    import torch

    content: dict[str, Any] = {
        "network_weights": {"encoder.weight": torch.arange(24.0).reshape(2, 3, 4), "bias": torch.ones(3, dtype=torch.float16)},
        "init_args": {"configuration": "3d_fullres", "plans": {"a": [1, 2.5, None]}},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
        "logging": {"loss": [np.float32(0.5), np.float64(0.25), np.int64(3)]},
    }
    found = [pickle.dumps(content["init_args"]), pickle.dumps({**content, "network_weights": Bomb()})]
    for zipped, extra in ((True, {}), (False, {}), (True, {"logging": Bomb()}), (False, {"trainer_name": Bomb()})):
        file = io.BytesIO()
        torch.save({**content, **extra}, file, _use_new_zipfile_serialization=zipped)
        found.append(file.getvalue())
    return found
