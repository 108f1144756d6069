"""A package is entered only by its front door: what another package imports from it stands in its `__all__`."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

PACKAGES = ("ledger", "projections", "town")
ROOT = Path(__file__).parents[2]
SOURCES = [path for package in (*PACKAGES, "cli") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_package_is_entered_by_its_front_door(path: Path) -> None:
    """No source file reaches past another package's `__init__`."""
    own = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        package = node.module.partition(".")[0]
        if package in PACKAGES and package != own:
            names = {alias.name for alias in node.names}
            assert node.module == package, f"line {node.lineno} reaches into {node.module}"
            assert names <= set(importlib.import_module(package).__all__), f"line {node.lineno}"
