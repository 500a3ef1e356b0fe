"""Our use of TensorRT, and the fake, agree with the real bindings of versions 10 and 11: names, signatures and types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes import fake_tensorrt, shim_build, surface, tensorrt_bindings

SOURCES = sorted((shim_build.ROOT / "engine" / "networks" / "tensorrt_").glob("[!_]*.py"))
VERSIONS = tensorrt_bindings.versions()

pytestmark = pytest.mark.skipif(not VERSIONS, reason="build/tensorrt-bindings is empty; 'make gates' fills it")

LIST_NAMES = """
import json, sys
import tensorrt_bindings as real
def has(dotted):
    holder = real
    for part in dotted.split("."):
        if not hasattr(holder, part):
            return False
        holder = getattr(holder, part)
    return True
print(json.dumps([name for name in json.load(sys.stdin) if not has(name)]))
"""


def missing(version: str, names: set[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIST_NAMES],
        input=json.dumps(sorted(names)),
        env=tensorrt_bindings.environment(version),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def fake_names() -> set[str]:
    """Every public class of the fake, and the public names in it."""
    names = set()
    for name, kind in vars(fake_tensorrt.module()).items():
        if isinstance(kind, type):
            public = {member for member in vars(kind) if not member.startswith("_")}
            names |= {name, *(f"{name}.{member}" for member in public)}
    return names


@pytest.mark.parametrize("version", VERSIONS)
def test_both_have_only_real_names(version: str) -> None:
    used = surface.used_names(SOURCES, "tensorrt", "trt")
    assert len(used) > 10
    assert missing(version, used | fake_names()) == []


def test_a_name_of_an_older_version_is_caught() -> None:
    assert missing("11.4.0.106", {"BuilderFlag.FP16", "BuilderFlag.TF32"}) == ["BuilderFlag.FP16"]


def type_errors(version: str, folder: Path, sources: list[Path]) -> list[str]:
    """mypy's errors in copies of these files, with TensorRT's own types."""
    config = folder / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = true\nwarn_unused_ignores = false\nnamespace_packages = true\nexplicit_package_bases = true\n"
        "ignore_missing_imports = true\n[mypy-cupy.*,onnx.*]\nfollow_imports = skip\n"
    )
    paths = f"{tensorrt_bindings.typed_package(version)}:{shim_build.ROOT / 'build' / 'typing'}"
    cache = tensorrt_bindings.WHEELS / f"mypy-{version}"
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir", str(cache), *map(str, sources)]
    environment = {**tensorrt_bindings.environment(version), "MYPYPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    names = {source.name for source in sources}
    return [line for line in done.stdout.splitlines() if "error:" in line and Path(line.partition(":")[0]).name in names]


def copied(folder: Path) -> list[Path]:
    """Copies under other module names, so that mypy checks them and not the package."""
    copies = [folder / f"checked_{source.name}" for source in SOURCES]
    for source, copy in zip(SOURCES, copies, strict=True):
        copy.write_text(source.read_text())
    return copies


@pytest.mark.parametrize("version", VERSIONS)
def test_types_and_signatures_are_the_real_ones(version: str, tmp_path: Path) -> None:
    assert type_errors(version, tmp_path, copied(tmp_path)) == []


WRONG = [
    ("checked_build.py", "config.clear_flag(trt.BuilderFlag.TF32)", "config.clear_flag(trt.BuilderFlag.FP16)"),
    ("checked_build.py", "set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)", "max_workspace_size = 1"),
    ("checked_backend.py", "set_tensor_address(name, ", "set_tensor_adress(name, "),
    ("checked_backend.py", "execute_async_v3(stream.ptr)", "execute_async_v2(stream.ptr)"),
    ("checked_backend.py", "execute_async_v3(workspace.stream.ptr)", 'execute_async_v3("stream")'),
    ("checked_engine.py", "runtime.deserialize_cuda_engine(plan)\n    if", "runtime.deserialize_cuda_engine(3)\n    if"),
]


def test_wrong_calls_are_caught(tmp_path: Path) -> None:
    copies = copied(tmp_path)
    for name, right, wrong in WRONG:
        text = (tmp_path / name).read_text()
        assert right in text, f"{name}: {right}"
        (tmp_path / name).write_text(text.replace(right, wrong, 1))
    errors = type_errors("11.4.0.106", tmp_path, copies)
    for complaint in ('"FP16"', '"max_workspace_size"', '"set_tensor_adress"', '"execute_async_v2"', '"str"', '"int"'):
        assert any(complaint in error for error in errors), (complaint, errors)
