"""Which extra of the package brings a library that the small runtime does without, and how to get it."""

from __future__ import annotations

#: Import name -> the extras of pyproject.toml that bring it, the lightest first.
EXTRAS = {
    "batchgenerators": ("train",),
    "cupy": ("gpu",),
    "dicomweb_client": ("pacs",),
    "dynamic_network_architectures": ("export", "train"),
    "fastapi": ("serve",),
    "highdicom": ("dicom",),
    "matplotlib": ("bench",),
    "nnunetv2": ("train",),
    "onnx": ("bench", "export", "train", "tensorrt"),
    "prometheus_client": ("serve",),
    "psutil": ("bench",),
    "pybind11": ("cpp",),
    "pydicom": ("dicom",),
    "pynetdicom": ("pacs",),
    "pynvml": ("bench",),
    "ray": ("ray",),
    "SimpleITK": ("formats", "train"),
    "tensorrt": ("tensorrt",),
    "requests": ("pacs",),
    "torch": ("export", "train"),
    "uvicorn": ("serve",),
}
#: Peers and references that no extra brings: import name -> its name in the registry.
_OTHERS = {"skimage": "scikit-image", "surface_distance": "surface-distance"}


def install_command(package: str, wanted: str = "") -> str:
    """How to get a package, by its import name; of several extras that bring it, the one called `wanted`.

    >>> install_command("psutil"), install_command("torch", "train"), install_command("skimage")
    ("pip install 'flare-trt[bench]'", "pip install 'flare-trt[train]'", 'pip install scikit-image')
    """
    extras = EXTRAS.get(package)
    if extras is None:
        return f"pip install {_OTHERS.get(package, package)}"
    return f"pip install 'flare-trt[{wanted if wanted in extras else extras[0]}]'"
