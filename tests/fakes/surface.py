"""Which dotted names of a package our sources use, and which of them a real module lacks."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def used_names(paths: Iterable[Path], package: str, alias: str | None = None) -> set[str]:
    """Dotted names below `package` ("cuda.Stream") in these files, where it is imported as `alias` or by its own name."""
    names: set[str] = set()
    for path in paths:
        tree = ast.parse(path.read_text())
        names |= {chain for node in ast.walk(tree) if (chain := _chain(node, alias or package))}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
                below = (node.module or "").partition(".")[2]
                names |= {f"{below}.{name.name}".strip(".") for name in node.names}
    return names


def _chain(node: ast.AST, root: str) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed(parts)) if parts and isinstance(node, ast.Name) and node.id == root else ""


def missing_names(names: Iterable[str], module: Any) -> list[str]:
    """Those of the dotted names that the module does not have. Submodules are imported on the way."""
    return sorted(name for name in names if not _has(module, name.split(".")))


def _has(holder: Any, parts: list[str]) -> bool:
    for part in parts:
        if not hasattr(holder, part):
            try:
                importlib.import_module(f"{getattr(holder, '__name__', '')}.{part}")
            except ImportError:
                return False
        holder = getattr(holder, part)
    return True
