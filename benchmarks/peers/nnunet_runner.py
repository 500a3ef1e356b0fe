"""One case through nnU-Net's own steps in one process, each marked as a stage; what fills in the logits is a parameter.

nnU-Net's command line would start worker processes for reading and writing, each of which imports torch again. For a single
case these calls, taken from nnunetv2/inference/predict_from_raw_data.py, predict_from_files_sequential, are its fastest way.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flare_trt.benchmarks.peers.nnunet_share import limit_tiles
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.stopwatch import marked
from flare_trt.engine.base.torchvision_import import mend_torchvision

#: (nnUNetPredictor, preprocessed torch tensor (c, z, y, x)) -> logits (classes, z, y, x).
Predict = Callable[[Any, Any], Any]


def run(argv: Sequence[str], description: str, predict: Predict) -> None:
    """Parse MODEL_FOLDER CT OUT and write the labels of one CT."""
    arguments = _parser(description).parse_args(argv)
    if not arguments.out.name.endswith(".nii.gz"):
        raise InputError(f"{arguments.out}: expected a name that ends in .nii.gz")
    with marked("import"):
        import torch
        from nnunetv2.inference.export_prediction import export_prediction_from_logits
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        mend_torchvision()  # a trainer that is not in nnU-Net's first folder is looked for in all of them
    device = torch.device(arguments.device)
    with marked("load model"):
        predictor = nnUNetPredictor(use_mirroring=arguments.mirroring, device=device, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(arguments.model_folder), _folds(arguments.model_folder))
        predictor.network = predictor.network.to(device)
    if arguments.tiles:
        limit_tiles(predictor, arguments.tiles)
    plans, configuration, dataset = predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
    if arguments.resampling == "torch":
        use_torch_resampling(configuration.configuration)
    with marked("read"):
        image, properties = plans.image_reader_writer_class().read_images([str(arguments.ct)])
    with marked("preprocess"):
        preprocessor = configuration.preprocessor_class(verbose=False)
        data, _, properties = preprocessor.run_case_npy(image, None, properties, plans, configuration, dataset)
        del image
    with marked("network"), torch.autocast(device.type, torch.bfloat16, enabled=arguments.autocast):
        logits = predict(predictor, torch.from_numpy(data)).cpu()
        del data
    with marked("export"):
        out = str(arguments.out).removesuffix(".nii.gz")
        export_prediction_from_logits(logits, properties, configuration, plans, dataset, out)


def use_torch_resampling(configuration: dict[str, Any]) -> None:
    """Change a configuration of plans.json, in place, to the torch resampling that nnU-Net ships but does not plan by default
    (nnunetv2/experiment_planning/experiment_planners/resampling/resample_with_torch.py, nnUNetPlannerResEncL_torchres)."""
    for use in ("data", "seg", "probabilities"):
        configuration[f"resampling_fn_{use}"] = "resample_torch_fornnunet"
        options = {"is_seg": use == "seg", "force_separate_z": False, "memefficient_seg_resampling": False}
        configuration[f"resampling_fn_{use}_kwargs"] = options


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model_folder", type=Path, help="nnU-Net v2 folder with plans.json, dataset.json and fold_*")
    parser.add_argument("ct", type=Path)
    parser.add_argument("out", type=Path, help="labels to write (.nii.gz)")
    parser.add_argument("--device", default="cpu", help="torch device (default: %(default)s)")
    parser.add_argument("--resampling", choices=("default", "torch"), default="default", help="as planned, or torch's")
    parser.add_argument("--mirroring", action="store_true", help="mirror each tile, as nnU-Net does by default")
    parser.add_argument(
        "--autocast", action="store_true", help="convolutions in bf16, by torch's autocast: on a GPU nnU-Net does alike"
    )
    parser.add_argument("--tiles", type=int, metavar="N", help="run the first N tiles only: times count, labels do not")
    return parser


def _folds(folder: Path) -> tuple[str, ...] | None:
    """None lets nnU-Net find the numbered folds; it never finds a lone fold_all."""
    numbered = [path for path in folder.glob("fold_*") if path.name != "fold_all"]
    return None if numbered else ("all",)
