"""The rules that hold the project's shape: who imports whom, what loads when, how long things may be."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, circles, imports, modules_within, parsed, python_files, room_of, shown, tracked

#: Folder -> folders that it may import.
ARROWS = {
    "kernels": set(),
    "engine": {"kernels"},
    "export": {"kernels", "engine"},
    "benchmarks": {"kernels", "engine"},
    "training": {"kernels", "engine", "export", "benchmarks"},
}
#: What of engine/ a room may import beside itself; an app is a room of its own, and what lies in apps/ itself serves them all.
_LIBRARY = {"base", "scans", "model", "networks", "passes", "roi", "results", "segmenter", "batch", "phantom"}
ROOMS = {
    "engine": {
        "base": set(),
        "scans": {"base"},
        "model": {"base"},
        "networks": {"base", "scans", "model"},
        "passes": {"base", "scans", "model", "networks"},
        "roi": {"base", "scans", "model", "networks", "passes"},
        "results": {"base", "scans", "model"},
        "segmenter": {"base", "scans", "model", "networks", "passes", "roi", "results"},
        "batch": {"base", "scans", "model", "results", "segmenter"},
        "phantom": {"base"},
        "apps": _LIBRARY,
        **{f"apps.{app}": {*_LIBRARY, "apps"} for app in ("serve", "pacs", "cluster", "viewer", "cpp")},
        "apps.cli": {*_LIBRARY, "apps", "apps.serve", "apps.pacs", "apps.cluster", "apps.viewer", "apps.cpp"},
        "__init__": {"base", "scans", "model", "results", "segmenter"},
        "__main__": {"apps.cli"},
    },
    "benchmarks": {
        "base": set(),
        "inputs": {"base"},
        "score": {"base"},
        "gpu_plan": {"base"},
        "kernels": {"base", "inputs", "gpu_plan"},
        "measure": {"base"},
        "peers": {"base", "measure", "score"},
        "studies": {"base", "inputs", "score", "gpu_plan", "kernels", "measure", "peers"},
        "against": {"base", "peers"},
        "report": {"base", "against", "gpu_plan", "kernels", "measure", "peers", "studies"},
        "cli": set(),
        "__init__": set(),
        "__main__": {"cli"},
    },
}
#: Libraries that load on first use, never with the package.
LAZY = [
    "torch",
    "nnunetv2",
    "cupy",
    "cupyx",
    "tensorrt",
    "openvino",
    "onnxruntime",
    "onnx",
    "scipy",
    "nibabel",
    "skimage",
    "cc3d",
    "matplotlib",
    "PIL",
    "psutil",
    "pynvml",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "pynetdicom",
    "dicomweb_client",
    "requests",
]
LIBRARIES = {*sys.stdlib_module_names, *LAZY, "numpy", "pytest", "isal", "monai"}

FILE_LINES, FUNCTION_LINES, TEST_LINES, PARAMETERS = 300, 40, 60, 6


def in_subprocess(code: str, *, packaged: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": "build/typing"} if packaged else {"PATH": os.environ.get("PATH", "")}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", ARROWS)
def test_imports_run_one_way(folder: str) -> None:
    wrong = []
    for path in python_files(folder):
        for name in imports(parsed(path)):
            parts = name.split(".")
            if parts[0] == "flare_trt" and parts[1] not in {folder, *ARROWS[folder]}:
                wrong.append(f"{shown(path)} imports {name}")
    assert not wrong


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_what_their_table_allows(folder: str) -> None:
    allowed, wrong = ROOMS[folder], []
    for module, imported in modules_within(folder).items():
        room = room_of(module)
        wrong += [f"{module} imports {other}" for other in sorted(imported) if room_of(other) not in {room, *allowed[room]}]
    assert wrong == []
    assert {room_of(module) for module in modules_within(folder)} | {"apps"} == {*allowed, "apps"}


@pytest.mark.parametrize("folder", ["kernels", "engine", "export", "benchmarks", "training"])
def test_no_modules_and_no_rooms_import_each_other_in_a_circle(folder: str) -> None:
    arrows = modules_within(folder)
    assert circles(arrows) == []
    rooms: dict[str, set[str]] = {}
    for module, imported in arrows.items():
        rooms.setdefault(room_of(module), set()).update({room_of(other) for other in imported} - {room_of(module)})
    if folder in ROOMS:
        assert circles(rooms) == []


def test_circles_are_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_nobody_imports_a_bare_folder() -> None:
    wrong = [
        f"{shown(path)} imports {name}"
        for path in python_files(*ARROWS, "tests")
        for name in imports(parsed(path))
        if name.split(".")[0] in ARROWS
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ARROWS)
def test_a_bare_import_from_the_checkout_fails_with_a_clear_word(folder: str) -> None:
    done = in_subprocess(f"import {folder}", packaged=False)
    assert done.returncode == 1
    assert f"ImportError: import flare_trt.{folder}, not {folder}: run 'pip install -e .'" in done.stderr


def modules(folder: str) -> list[str]:
    package = importlib.import_module(f"flare_trt.{folder}")
    found = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [package.__name__, *(name for name in found if not name.endswith((".__main__", "._native")))]


@pytest.mark.parametrize("folder", ["kernels", "engine"])
def test_importing_the_runtime_loads_no_heavy_library(folder: str) -> None:
    code = "import importlib, sys\n"
    code += f"for name in {modules(folder)!r}: importlib.import_module(name)\n"
    code += f"print(sorted(set({LAZY!r}) & set(sys.modules)))"
    done = in_subprocess(code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_no_module_is_named_like_a_library() -> None:
    own = [path for path in python_files(*ARROWS) if path.stem not in ("__init__", "__main__")]
    assert [shown(path) for path in own if path.stem in LIBRARIES] == []


def test_files_are_short() -> None:
    sources = [path for path in tracked() if path.suffix in (".py", ".cpp", ".h", ".hpp", ".cu", ".cuh")]
    lines = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: count for name, count in lines.items() if count > FILE_LINES} == {}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the def to the end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_functions_are_short() -> None:
    long = {}
    for path in python_files(*ARROWS, "tests"):
        limit = TEST_LINES if path.relative_to(ROOT).parts[0] == "tests" else FUNCTION_LINES
        long.update({f"{shown(path)}:{f.name}": body_lines(f) for f in functions(path) if body_lines(f) > limit})
    assert long == {}


def test_functions_take_few_parameters() -> None:
    crowded = {}
    for path in python_files(*ARROWS):
        for function in functions(path):
            arguments = function.args
            names = [
                a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if a.arg not in ("self", "cls")
            ]
            if len(names) > PARAMETERS:
                crowded[f"{shown(path)}:{function.name}"] = names
    assert crowded == {}


def library_statements(path: Path) -> list[ast.stmt]:
    """A module's statements, without the block that runs only where the file is started as a script."""
    return [node for node in parsed(path).body if not (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))]


def test_library_code_does_not_end_the_process() -> None:
    wrong = []
    for path in python_files(*ARROWS):
        if path.stem == "__main__":
            continue
        nodes = (node for statement in library_statements(path) for node in ast.walk(statement))
        calls = (ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call))
        wrong += [f"{shown(path)} calls {call}" for call in calls if call in ("sys.exit", "exit", "quit", "os._exit")]
    assert not wrong


def test_no_tracked_file_names_a_place_on_one_machine() -> None:
    absolute = re.compile(rb"(?<![\w.~/-])/(?:work|tmp|root|home|Users)/[A-Za-z_]")
    wrong = []
    for path in tracked():
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if absolute.search(line) and b"absolute = re" not in line:
                wrong.append(f"{shown(path)}:{number}: {line.strip()[:100]!r}")
    assert not wrong


@pytest.mark.parametrize("folder", ARROWS)
def test_doctests(folder: str) -> None:
    failed = [name for name in modules(folder) if doctest.testmod(importlib.import_module(name)).failed]
    assert not failed


def test_the_typing_marker_is_in_every_folder() -> None:
    assert [folder for folder in ARROWS if not (ROOT / folder / "py.typed").is_file()] == []
