"""RTSTRUCT read by plastimatch, a radiotherapy toolkit: contours become the labels they were made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.results.dicom.outside import tool
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader


def test_contours_give_the_labels_back(tmp_path: Path) -> None:
    simpleitk = pytest.importorskip("SimpleITK")
    shape = (7, 31, 27)
    reader = DicomReader(write_series(tmp_path / "ct", small_ct(shape), Look(spacing_mm=(2.5, 0.9, 0.7))))
    labels = blobs(shape)
    write_structure_set(tmp_path / "rt.dcm", Volume(labels, reader.grid), reader, flare_spec())
    words = ["convert", "--input", tmp_path / "rt.dcm", "--referenced-ct", tmp_path / "ct"]
    out = ["--output-prefix", tmp_path / "masks", "--prefix-format", "nrrd"]
    subprocess.run([tool("plastimatch"), *words, *out], capture_output=True, check=True)
    names = {1: "liver", 2: "right kidney", 7: "right adrenal gland", 13: "left kidney", 14: "tumour"}
    for value, name in names.items():
        mask = simpleitk.GetArrayFromImage(simpleitk.ReadImage(str(tmp_path / "masks" / f"{name}.nrrd")))
        np.testing.assert_array_equal(mask > 0, labels == value, name)
