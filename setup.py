"""Maps the top-level folders to the subpackages of the namespace flare_trt and builds the native kernels."""

from pybind11.setup_helpers import Pybind11Extension
from setuptools import find_packages, setup

FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")


def packages_in(folder: str) -> list[str]:
    return [f"flare_trt.{folder}"] + [f"flare_trt.{folder}.{sub}" for sub in find_packages(folder)]


NATIVE = Pybind11Extension(
    "flare_trt.kernels.native._native",
    sources=["kernels/native/module.cpp"],
    cxx_std=17,
    extra_compile_args=["-O3", "-fopenmp", "-fno-math-errno"],
    extra_link_args=["-fopenmp"],
)

setup(
    packages=[name for folder in FOLDERS for name in packages_in(folder)],
    package_dir={f"flare_trt.{folder}": folder for folder in FOLDERS},
    package_data={"": ["py.typed", "*.cu", "*.cuh", "*.json", "*.md"]},
    ext_modules=[NATIVE],
)
