"""Maps the top-level folders to the subpackages of the namespace flare_trt and builds the native kernels."""

import sys
from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension, build_ext
from setuptools import find_namespace_packages, setup

FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")


def packages_in(folder: str) -> list[str]:
    """The folder's packages; folders that hold data alone (models, runs) count as packages too, or setuptools would complain."""
    inside = find_namespace_packages(folder, exclude=("*__pycache__*",))
    return [f"flare_trt.{folder}"] + [f"flare_trt.{folder}.{name}" for name in inside]


class BuildNative(build_ext):
    """Builds the native kernels where there is a compiler; elsewhere the install goes on and says what is missing."""

    def run(self) -> None:
        super().run()
        if not all(Path(output).exists() for output in self.get_outputs()):
            print(
                "flare-trt: the native kernels were not built, see the compiler's words above. The slow reference kernels "
                "remain; for the fast ones install a C++17 compiler (g++) and install flare-trt again.",
                file=sys.stderr,
            )


NATIVE = Pybind11Extension(
    "flare_trt.kernels.native._native",
    sources=sorted(str(path) for path in Path("kernels/native").glob("*.cpp")),
    depends=sorted(str(path) for path in Path("kernels/native").glob("*.h")),
    cxx_std=17,
    # No fused multiply-add: float16 results are promised bit for bit, whatever the processor.
    extra_compile_args=["-O3", "-fopenmp-simd", "-pthread", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"],
    extra_link_args=["-pthread"],
    optional=True,
)

setup(
    packages=[name for folder in FOLDERS for name in packages_in(folder)],
    package_dir={f"flare_trt.{folder}": folder for folder in FOLDERS},
    package_data={
        "": ["py.typed", *(f"*.{kind}" for kind in ("cu", "cuh", "hpp", "cmake", "json", "md", "onnx", "css", "html", "js"))]
    },
    ext_modules=[NATIVE],
    cmdclass={"build_ext": BuildNative},
)
