"""A tiny student and hand-made views for the tests of the distillation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.kernels import Intensity
from flare_trt.training.distil.config import DataConfig, DistilConfig, MixConfig, ScheduleConfig, TeacherConfig
from flare_trt.training.distil.network import NetworkConfig
from flare_trt.training.distil.soft_labels import halved, soft_labels
from flare_trt.training.distil.views import View

INTENSITY = Intensity(-973.0, 295.0, 80.0, 141.0)
NETWORK = NetworkConfig(14, (4, 8), ((1, 1, 1), (2, 2, 2)), (1, 1), (1,))


def tiny_config(**changes: object) -> DistilConfig:
    config = DistilConfig(
        name="tiny",
        spacing_mm=(12.0, 11.0, 10.0),
        patch_zyx=(16, 20, 24),
        train_patch_zyx=(16, 20, 24),
        teacher=TeacherConfig("teacher.onnx", (6.0, 5.5, 5.0), (16, 16, 16), INTENSITY),
        data=DataConfig((), 1, (), ()),
        schedule=ScheduleConfig(steps=4, learning_rate=3e-3, warmup_steps=1, log_every=2, validate_every=100),
        mix=MixConfig(phantom=0.3, extended=0.2),
        network=NETWORK,
        start_from_teacher=False,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def phantom_view(seed: int = 3, shape: tuple[int, int, int] = (42, 51, 63)) -> View:
    """A view whose teacher is the phantom's own truth."""
    spacing = (6.0, 5.5, 5.0)
    ct, labels = make_phantom(seed, shape, spacing, PhantomOptions(centre_mm=20.0))
    shares = np.ascontiguousarray(np.moveaxis(np.eye(14, dtype=np.float32)[labels.array], -1, 0))
    return View(ct.array, soft_labels(shares), soft_labels(halved(shares)), spacing)
