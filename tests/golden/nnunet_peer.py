"""The peer: the real nnUNetPredictor on a scan, on the CPU."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


def nnunet_predictor(model_folder: Path, folds: Sequence[int | str] = (0,), mirroring: bool = False, step: float = 0.5) -> Any:
    """An nnUNetPredictor with the folder's folds loaded."""
    import torch

    from flare_trt.engine.base.torchvision_import import mend_torchvision

    mend_torchvision()
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    with contextlib.redirect_stdout(io.StringIO()):
        predictor = nnUNetPredictor(
            tile_step_size=step,
            use_gaussian=True,
            use_mirroring=mirroring,
            perform_everything_on_device=False,
            device=torch.device("cpu"),
            allow_tqdm=False,
        )
        predictor.initialize_from_trained_model_folder(str(model_folder), tuple(folds), "checkpoint_final.pth")
    return predictor


def predict_with_nnunet(
    model_folder: Path,
    image_files: Path | Sequence[Path],
    folds: Sequence[int | str] = (0,),
    mirroring: bool = False,
    step: float = 0.5,
    previous: Path | None = None,
) -> NDArray[np.uint8]:
    """Labels of a NIfTI scan, one file or one a channel, (z, y, x) as it is stored, read and written by the folder's own reader.

    `previous` is the folder of a cascade's first stage: its labels are written, and read by the second.
    """
    import SimpleITK

    files = [image_files] if isinstance(image_files, Path) else image_files
    predictor = nnunet_predictor(model_folder, folds, mirroring, step)
    reader = predictor.plans_manager.image_reader_writer_class()
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        image, properties = reader.read_images([str(file) for file in files])
        before, written = None, Path(folder) / "labels.nii.gz"
        if previous is not None:
            first = nnunet_predictor(previous, folds, mirroring, step)
            reader.write_seg(first.predict_single_npy_array(image, dict(properties)), str(written), properties)
            before, _ = reader.read_seg(str(written))
        labels = predictor.predict_single_npy_array(image, properties, before)
        reader.write_seg(labels, str(written), properties)
        return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(written))))


def probabilities_with_nnunet(
    model_folder: Path, image_file: Path, folds: Sequence[int | str] = (0,), mirroring: bool = False
) -> NDArray[np.float32]:
    """Probabilities (class, z, y, x) of a scan, in the axes of the folder's own reader, as --save_probabilities keeps them."""
    predictor = nnunet_predictor(model_folder, folds, mirroring)
    reader = predictor.plans_manager.image_reader_writer_class()
    with contextlib.redirect_stdout(io.StringIO()):
        image, properties = reader.read_images((str(image_file),))
        _, found = predictor.predict_single_npy_array(image, properties, None, None, True)
    return np.asarray(found)


def save_with_nnunet(model_folder: Path, image_files: Sequence[Path], folder: Path, mirroring: bool = False) -> Path:
    """What `nnUNetv2_predict --save_probabilities` leaves of one case: labels, .npz, .pkl, plans.json, dataset.json."""
    predictor = nnunet_predictor(model_folder, (0,), mirroring)
    reader = predictor.plans_manager.image_reader_writer_class()
    folder.mkdir()
    for name in ("plans.json", "dataset.json"):
        shutil.copy(model_folder / name, folder)
    with contextlib.redirect_stdout(io.StringIO()):
        image, properties = reader.read_images([str(file) for file in image_files])
        predictor.predict_single_npy_array(image, properties, None, str(folder / "case"), True)
    return folder


def ensemble_with_nnunet(folders: Sequence[Path], out: Path) -> NDArray[np.uint8]:
    """Labels (z, y, x) that `nnUNetv2_ensemble` writes of folders with one case each."""
    import SimpleITK
    from nnunetv2.ensembling import ensemble

    threads = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))  # a process would import torch anew
    before, ensemble.multiprocessing = ensemble.multiprocessing, threads
    try:
        ensemble.ensemble_folders([str(folder) for folder in folders], str(out), num_processes=1)
    finally:
        ensemble.multiprocessing = before
    (labels,) = out.glob("case.*")
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(labels))).astype(np.uint8))


def network_logits(predictor: Any, fold: int, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (c, z, y, x) of the predictor's own torch network for an input (1, 1, z, y, x); `fold` counts the loaded ones."""
    import torch

    predictor.network.load_state_dict(predictor.list_of_parameters[fold])
    predictor.network.eval()
    with torch.inference_mode():
        return np.asarray(predictor.network(torch.from_numpy(image))[0].numpy())
