"""Which of two folders is the prediction: named by the user, and what in the folders themselves says otherwise.

DSC and NSD by their definitions are the same both ways round, so a swap cannot be seen in scores. It counts where FLARE's rules
take the slices of the reference, where voxels are ignored, and where a case is missing on one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flare_trt.engine.base.errors import InputError

#: What references are called: nnU-Net's own folders and plain words.
_REFERENCES = {"labelstr", "labelsts", "gt_segmentations", "gt", "reference", "references", "ground_truth", "groundtruth"}
#: What nnUNetv2_predict and nnUNetv2_evaluate_folder leave beside predictions, and nothing leaves beside references.
_BESIDE_PREDICTIONS = ("predict_from_raw_data_args.json", "summary.json")


def sides_of(places: Sequence[Path], prediction: Path | None, reference: Path | None) -> tuple[Path, Path]:
    """Prediction and reference, given by two places or by two names. Raises InputError for anything else."""
    if prediction is not None and reference is not None and not places:
        return prediction, reference
    if len(places) == 2 and prediction is None and reference is None:
        return places[0], places[1]
    raise InputError(
        f"evaluate: got {len(places)} paths without a name, {'no ' if prediction is None else ''}--prediction and "
        f"{'no ' if reference is None else ''}--reference; expected PREDICTION REFERENCE, or --prediction P --reference R"
    )


def looks_swapped(prediction: Path, reference: Path) -> str | None:
    """Why the first folder looks like the references and the second like the predictions; None where nothing says so."""
    first, second = (path if path.is_dir() else path.parent for path in (prediction, reference))
    if first.resolve().name.lower() in _REFERENCES and second.resolve().name.lower() not in _REFERENCES:
        return f"{first} is called as references are, and stands in the prediction's place"
    for name in _BESIDE_PREDICTIONS:
        if (second / name).is_file() and not (first / name).is_file():
            return f"{second} holds {name}, which nnU-Net writes beside predictions, and stands in the reference's place"
    return None
