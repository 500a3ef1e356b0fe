"""Maps the top-level folders to the subpackages of the namespace flare_trt, builds the native kernels, packs reproducibly.

The same files, the same compiler and the same SOURCE_DATE_EPOCH give the same sdist and the same wheel, byte for byte, whatever
the folder, the owner, the umask and the clock.
"""

import gzip
import os
import sys
import tarfile
import time
from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension, build_ext
from setuptools import find_namespace_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.sdist import sdist

FOLDERS = ("kernels", "engine", "export", "benchmarks", "training")


def packages_in(folder: str) -> list[str]:
    """The folder's packages; folders that hold data alone (models, runs) count as packages too, or setuptools would complain.
    Results of benchmarks stay in the repository."""
    data = ("results",) if folder == "benchmarks" else ()
    inside = find_namespace_packages(folder, exclude=("*__pycache__*", *data))
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


class PackSource(sdist):
    """An archive without a trace of who packed it: sorted names, no owner, plain modes, one time."""

    def make_archive(self, base_name: str, format: str, root_dir: str | None = None, base_dir: str = ".", **_: object) -> str:
        if format != "gztar":
            return str(super().make_archive(base_name, format, root_dir, base_dir))
        path, seconds = Path(f"{base_name}.tar.gz"), int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))

        def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.mode = seconds, 0o755 if member.isdir() else 0o644
            return member

        with (
            path.open("wb") as file,
            gzip.GzipFile("", "wb", 9, file, mtime=seconds) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            tar.add(base_dir, filter=anonymous)
        return str(path)


class PackWheel(bdist_wheel):
    """A wheel whose modes do not depend on the umask; wheel itself takes the times from SOURCE_DATE_EPOCH."""

    def write_wheelfile(self, *arguments: str) -> None:
        super().write_wheelfile(*arguments)
        for path in Path(self.bdist_dir).rglob("*"):
            path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)


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
    exclude_package_data={"": ["LOG.md", "*.cpp", "*.h"]},
    ext_modules=[NATIVE],
    cmdclass={"build_ext": BuildNative, "sdist": PackSource, "bdist_wheel": PackWheel},
)
