"""Maps the top-level folders to the subpackages of the namespace flare_trt and builds the native kernels."""

from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension
from setuptools import find_namespace_packages, setup

FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")


def packages_in(folder: str) -> list[str]:
    """The folder's packages; folders that hold data alone (models, runs) count as packages too, or setuptools would complain."""
    inside = find_namespace_packages(folder, exclude=("*__pycache__*",))
    return [f"flare_trt.{folder}"] + [f"flare_trt.{folder}.{name}" for name in inside]


NATIVE = Pybind11Extension(
    "flare_trt.kernels.native._native",
    sources=sorted(str(path) for path in Path("kernels/native").glob("*.cpp")),
    depends=sorted(str(path) for path in Path("kernels/native").glob("*.h")),
    cxx_std=17,
    # No fused multiply-add: float16 results are promised bit for bit, whatever the processor.
    extra_compile_args=["-O3", "-fopenmp-simd", "-pthread", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"],
    extra_link_args=["-pthread"],
    optional=True,  # without a compiler the install goes on with a warning; flare_trt.kernels.native_problem() says so later
)

setup(
    packages=[name for folder in FOLDERS for name in packages_in(folder)],
    package_dir={f"flare_trt.{folder}": folder for folder in FOLDERS},
    package_data={"": ["py.typed", "*.cu", "*.cuh", "*.json", "*.md", "*.onnx"]},
    ext_modules=[NATIVE],
)
