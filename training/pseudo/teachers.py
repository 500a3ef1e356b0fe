"""What a teacher says of a scan: labels, doubt and, if wanted, its probabilities. Bundles of ours and nnU-Net folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Reorientation
from flare_trt.engine.base.organs import TUMOUR
from flare_trt.engine.base.volume import Volume, turned
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.networks.device_choice import place
from flare_trt.engine.networks.session import Session, open_session
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Box, load
from flare_trt.training.distil.scans import network_image, resampled
from flare_trt.training.distil.soft_labels import SoftLabels, soft_labels
from flare_trt.training.distil.windows import probabilities
from flare_trt.training.fit.runs import announce_trainers
from flare_trt.training.pseudo.doubt import DoubtLimits, disagreement, doubtful

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Around the labels, where the probabilities are looked at.
SOFT_MARGIN_MM = (20.0, 20.0, 20.0)


@dataclass(frozen=True)
class Reading:
    """A teacher's uint8 labels and doubtful voxels on the scan's grid; `soft` on a network's grid inside `box` of the scan."""

    labels: Labels
    doubt: Mask
    soft: SoftLabels | None = None
    box: Box | None = None


class Teacher(Protocol):
    """A trained model. `classes` are the labels that it can give, without background."""

    name: str
    classes: frozenset[int]

    def read(self, ct: Volume) -> Reading:
        """Segment a CT and say where to doubt it."""


@dataclass(frozen=True)
class Teachers:
    """`organs` fills organs; `tumour` (which may be the same model) marks tumour, or None where no model knows it."""

    organs: Teacher
    tumour: Teacher | None = None

    @property
    def classes(self) -> frozenset[int]:
        """The labels that are taken from them."""
        return self.organs.classes - {TUMOUR} | (frozenset({TUMOUR}) if self.tumour is not None else frozenset())


class BundleTeacher:
    """One of our bundles: labels by the segmenter, doubt and probabilities by its fine network around them.

    `mirrored` also compares with the labels averaged over the bundle's mirror axes.
    """

    def __init__(self, path: Path, limits: DoubtLimits, options: RunOptions, mirrored: bool = False) -> None:
        self._segmenters = [Segmenter.open(path, options)]
        self.name, spec = str(path), self._segmenters[0].spec
        self._stage, self._limits = spec.fine, limits
        if spec.fine.activation != "argmax" or spec.fine.transpose_forward != (0, 1, 2):
            raise InputError(f"{path}: a teacher needs an arg-max network without transposed axes, got {spec.fine.activation}")
        if mirrored:
            if not spec.fine.mirror_axes:
                raise InputError(
                    f"{path}: this model was trained without mirroring, so its flips say nothing; leave --mirrored out"
                )
            self._segmenters.append(Segmenter.open(path, RunOptions(options.mode, options.device, options.backend, mirror=True)))
        self.classes = frozenset(spec.fine.channel_values) - {0}
        placement = place(options)
        self._bundle = open_bundle(path)
        self._session: Session = open_session(placement.backend, self._bundle.network_files(spec.fine)[0], placement.session)

    def read(self, ct: Volume) -> Reading:
        maps = [segmenter.segment(ct).labels.array for segmenter in self._segmenters]
        doubt = disagreement(maps)
        box = box_of_labels(maps[0])
        if box is None:
            return Reading(maps[0], doubt)
        box = ct.grid.grown(box, SOFT_MARGIN_MM, SOFT_MARGIN_MM)
        part = Volume(np.ascontiguousarray(ct.array[box.slices]), ct.grid.cropped(box))
        shares, turn = self._shares(part)
        unsure = resampled(doubtful(shares, self._limits).astype(np.float32), turn.grid(part.grid).shape_zyx) > 0.5
        doubt[box.slices] |= turn.undo(unsure)
        return Reading(maps[0], doubt, soft_labels(shares), box)

    def _shares(self, part: Volume) -> tuple[NDArray[np.float32], Reorientation]:
        stage: StageSpec = self._stage
        wanted = part.grid.orientation if stage.orientation == "as-stored" else stage.orientation
        turn = Reorientation.to(part.grid, wanted)
        image = network_image(turned(part, wanted), stage.spacing_mm, stage.of_one_ct)
        return probabilities(self._session.run, image, stage.patch_zyx, stage.tile_step), turn


class NnUNetTeacher:
    """A trained nnU-Net v2 folder (plans.json, dataset.json, fold_*), run by nnU-Net's own predictor."""

    def __init__(self, folder: Path, folds: tuple[int | str, ...], limits: DoubtLimits, device: str) -> None:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        announce_trainers()
        self.name, self._limits = str(folder), limits
        self._predictor: Any = nnUNetPredictor(
            perform_everything_on_device=device != "cpu", use_mirroring=False, device=torch.device(device)
        )
        self._predictor.initialize_from_trained_model_folder(str(folder), folds)
        self.classes = frozenset(int(label) for label in self._predictor.label_manager.foreground_labels)

    def read(self, ct: Volume) -> Reading:
        image = ct.array[None].astype(np.float32)
        properties = {"spacing": list(ct.grid.spacing_mm)}
        labels, shares = self._predictor.predict_single_npy_array(image, properties, None, None, True)
        shares = shares.astype(np.float32)
        return Reading(labels.astype(np.uint8), doubtful(shares, self._limits), soft_labels(shares), ct.grid.whole)


def box_of_labels(labels: Labels) -> Box | None:
    """Box of all labels, or None where there are none."""
    return load("reference").box_nonzero(labels.astype(np.int16))
