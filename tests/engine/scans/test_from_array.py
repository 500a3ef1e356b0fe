"""Arrays of other packages as CTs: the same memory where it can be, a clear word where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.fakes.device_exchange import DlpackOnly, TorchLike
from tests.fakes.device_memory import POOL
from tests.fakes.gpus import fake_gpus

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.from_array import ct_from_array
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Kernels, load

HOST = load("reference")


@pytest.fixture
def gpu(tmp_path: Path) -> Iterator[Kernels]:
    """The kernels of the second of two fake GPUs."""
    with fake_gpus(tmp_path / "cache", devices=2):
        yield load("cuda:1")


class Lent:
    """An array of some package that speaks DLPack alone, on the host."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("wrap", [lambda array: array, Lent], ids=["NumPy", "DLPack"])
def test_host_memory_is_shared(ct: Volume, dtype: str, wrap: Callable[[Any], Any]) -> None:
    array = ct.array.astype(dtype)
    volume = ct_from_array(wrap(array), ct.grid, HOST)
    assert volume.array.__array_interface__["data"][0] == array.__array_interface__["data"][0]
    assert np.array_equal(volume.array, array)


def test_torch_memory_is_shared(ct: Volume) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(ct.array.copy())
    volume = ct_from_array(tensor, ct.grid, HOST)
    assert volume.array.__array_interface__["data"][0] == tensor.data_ptr()
    with pytest.raises(InputError, match="Tensor cannot be read as an array"):
        ct_from_array(tensor.float().requires_grad_(), ct.grid, HOST)


def test_other_numbers_on_the_host_are_converted(ct: Volume) -> None:
    volume = ct_from_array(ct.array.astype("int64")[:, ::-1], ct.grid, HOST)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, ct.array[:, ::-1])
    assert ct_from_array(ct.array.tolist(), ct.grid, HOST).array.dtype == np.int16


@pytest.mark.parametrize("wrap", [lambda array: array, TorchLike, DlpackOnly], ids=["CuPy", "CUDA array interface", "DLPack"])
def test_gpu_memory_is_shared(gpu: Kernels, ct: Volume, wrap: Callable[[Any], Any]) -> None:
    array = gpu.upload(ct.array)
    volume = ct_from_array(wrap(array), ct.grid, gpu)
    assert volume.device == "cuda"
    assert volume.array.data.ptr == array.data.ptr
    assert volume.value_range == ct.value_range
    assert volume.nonzero_box == ct.nonzero_box


def test_what_a_gpu_array_lacks_is_told(gpu: Kernels, ct: Volume) -> None:
    array, other = gpu.upload(ct.array), load("cuda:0").upload(ct.array)
    bad = ct.array.astype("float32")
    bad[3, 4, 5] = np.nan
    for wrong, word in [
        (other, "got an array on cuda:0, expected it on cuda:1"),
        (gpu.upload(ct.array.astype("int32")), "got int32 on the GPU, expected int16 or float32"),
        (array.transpose((0, 2, 1)), "got strides"),
        (TorchLike(array[:, :, ::2]), "got strides"),
        (gpu.upload(bad), "NaN or infinite"),
        (gpu.upload(np.full_like(ct.array, 7)), "every voxel is 7"),
        (array[0], "expected \\(z, y, x\\)"),
    ]:
        with pytest.raises(InputError, match=word):
            ct_from_array(wrong, ct.grid, gpu)
    with pytest.raises(InputError, match="this model runs on the CPU"):
        ct_from_array(array, ct.grid, HOST)


def test_segmenting_an_array_gives_what_its_volume_gives(tmp_path: Path, ct: Volume) -> None:
    with Segmenter.open(fake_bundle(tmp_path / "b", fake_spec(coarse=True)), RunOptions(device="cpu", backend="fake")) as segmenter:
        expected = segmenter.segment(ct).labels
        found = segmenter.segment_array(Lent(ct.array), ct.grid).labels
    assert isinstance(found.array, np.ndarray)
    assert np.array_equal(found.array, expected.array)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_scan_on_the_gpu_gives_labels_on_the_gpu(gpu: Kernels, tmp_path: Path, ct: Volume, mode: Any) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    array = gpu.upload(ct.array)
    with Segmenter.open(bundle, RunOptions(device="cuda:1", backend="tensorrt", mode=mode)) as segmenter:
        from_host = segmenter.segment(ct).labels.array
        start = len(POOL.events)
        found = segmenter.segment_array(TorchLike(array), ct.grid).labels
    assert isinstance(from_host, np.ndarray)
    assert (found.array.device.id, found.array.dtype, found.grid) == (1, np.uint8, ct.grid)
    assert np.array_equal(found.array.get(), from_host)
    assert len(np.unique(from_host)) == 4
    assert array.nbytes not in POOL.events[start:]  # the scan itself was never copied
