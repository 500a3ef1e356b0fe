"""The header as a NumPy record, beside nibabel's own fields and affines."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Header
from tests.engine.scans.nifti_files import affine, random_rotation

from flare_trt.engine.scans.nifti_fields import HEADER_BYTES, LITTLE, fields_of, new_fields


def test_the_fields_are_those_of_nibabel() -> None:
    assert LITTLE.itemsize == HEADER_BYTES == Nifti1Header.sizeof_hdr
    assert Nifti1Header.template_dtype.newbyteorder("<") == LITTLE


@pytest.mark.parametrize("order", ["<", ">"])
def test_bytes_of_either_order_give_the_same_values(order: str) -> None:
    block = np.random.default_rng(0).integers(1, 120, HEADER_BYTES, np.uint8).tobytes()
    fields, known = fields_of(block, order), Nifti1Header(block, endianness=order, check=False)
    for name in LITTLE.names or ():
        np.testing.assert_array_equal(fields[name], known[name], err_msg=name)
    assert fields.astype(LITTLE).tobytes() == known.as_byteswapped("<").binaryblock


@pytest.mark.parametrize("flip", [1, -1])
def test_both_affines_of_a_new_header_are_nibabels(flip: int) -> None:
    random = np.random.default_rng(5)
    turned = [random_rotation(random) for _ in range(20)]
    straight = [np.diag([x, y, x * y]) for x in (1.0, -1.0) for y in (1.0, -1.0)]  # half turns: two quaternions are right
    for rotation in (*turned, *straight):
        spacing, offset = random.uniform(0.5, 5, 3), random.uniform(-300, 300, 3)
        matrix = affine(rotation @ np.diag([1, 1, flip]), spacing, offset)
        made = Nifti1Header(new_fields(matrix, tuple(spacing)).tobytes(), endianness="<", check=False)
        known = Nifti1Header(endianness="<")
        known.set_qform(matrix, code="scanner")
        np.testing.assert_allclose(made.get_qform(), known.get_qform(), atol=1e-4)
        np.testing.assert_allclose(made.get_sform(), matrix, atol=1e-4)
        np.testing.assert_allclose(made["pixdim"][:4], known["pixdim"][:4], rtol=1e-6)
        assert (int(made["qform_code"]), int(made["sform_code"]), nib.nifti1.unit_codes.label[2]) == (1, 1, "mm")
