"""What the inventory says of this machine, against what the libraries and the kernel say themselves."""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError, version

import nibabel
import numpy as np
import pytest
import scipy

from flare_trt.engine.networks import inventory
from flare_trt.engine.networks.inventory import take_inventory


def test_versions_are_those_that_the_libraries_say_themselves() -> None:
    found = take_inventory().libraries
    assert [found[name] for name in ("numpy", "scipy", "nibabel")] == [np.__version__, scipy.__version__, nibabel.__version__]


def test_of_several_names_the_first_that_is_installed_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PackageNotFoundError):
        version("no-such-package")
    monkeypatch.setattr(inventory, "_LIBRARIES", (("no-such-package", "numpy", "scipy"), ("no-such-package",)))
    assert take_inventory().libraries == {"numpy": np.__version__}


def test_parts_that_cannot_be_used_say_why() -> None:
    found = take_inventory()
    problems = {part.name: part.problem for part in (*found.kernels, *found.backends)}
    assert problems["reference"] is None
    assert problems["openvino"] is None
    assert "fake" not in problems, "it is for tests"
    cpu, gpu, *_ = found.devices
    assert (cpu.name, cpu.problem, cpu.detail) == ("cpu", None, f"{len(os.sched_getaffinity(0))} cores for this process")
    assert (gpu.problem is None) == (problems["cuda"] is None)
    assert "GPU only" not in str(problems["onnxruntime-tensorrt"]), "looked at for a GPU, not for the CPU"
    assert all(part.problem is None or part.problem for part in (*found.devices, *found.kernels, *found.backends))


@pytest.mark.usefixtures("gpu")
def test_a_gpu_has_its_name_and_memory() -> None:
    told = json.loads(json.dumps(take_inventory().as_json()))
    assert told["devices"][1] == {"name": "cuda:0", "problem": None, "detail": "Fake GPU, 16.0 GiB"}
