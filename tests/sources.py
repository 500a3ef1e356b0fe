"""The checkout's Python sources, and who imports whom: what tests and scripts about the project's shape read."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> list[Path]:
    """Files of the checkout that git knows."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def python_files(*folders: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def imports(tree: ast.AST) -> Iterator[str]:
    """Names of all modules that a file imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """The dotted name of a file of a package, without `flare_trt.`; a package's own is that of its folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The room of a module: the folder or file next to its top folder, and in apps/ the folder after that."""
    top, *rest = module.split(".")
    if rest[:1] == ["apps"] and len(rest) > 1 and (ROOT / top / "apps" / rest[1]).is_dir():
        return f"apps.{rest[1]}"
    return rest[0] if rest else "__init__"


@cache
def modules_within(folder: str) -> dict[str, set[str]]:
    """Each module of a folder, and those of the same folder that it imports."""
    files = {module_of(path): path for path in python_files(folder)}
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for imported in imports(parsed(path)):
            target = imported.removeprefix("flare_trt.")
            while target and target not in files:  # flare_trt.engine.base.grid.Grid is in the module engine.base.grid
                target = target.rpartition(".")[0]
            found[name] |= {target} - {"", name}
    return found


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """The names on a circle: what is left once those without imports, and those that nobody imports, are taken away."""
    left = dict(arrows)
    for _ in arrows:
        wanted = {name for imported in left.values() for name in imported}
        left = {name: imported & left.keys() for name, imported in left.items() if imported & left.keys() and name in wanted}
    return sorted(left)
