"""A package is entered only by its front door: what another package imports from it stands in its `__all__`.

The doors hand out their names when somebody asks; what types see, what stands in `__all__` and what is handed out is the same.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
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


@pytest.mark.parametrize("package", PACKAGES)
def test_front_door_hands_out_what_types_see(package: str) -> None:
    """The imports that only types see, the table of modules and `__all__` name the same things, from the same places."""
    door = importlib.import_module(package)
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in door.__all__
    }
    assert seen == door._homes
    assert sorted(seen) == sorted(door.__all__)
    assert set(dir(door)) >= set(door.__all__)
    for name, home in seen.items():
        assert getattr(door, name) is getattr(importlib.import_module(str(home)), name), name


def test_name_of_a_module_does_not_take_the_place_of_what_is_handed_out() -> None:
    """`ledger.decide` is the function, also where the module of that name is imported first."""
    program = "import ledger.decide, ledger.exchange\nfrom ledger import decide, exchange\nassert decide.__call__ and exchange.__call__"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_front_door_does_not_have_what_it_does_not_hand_out() -> None:
    """As any module: AttributeError, and ImportError for `from ledger import …`."""
    with pytest.raises(AttributeError, match="module 'ledger' has no attribute 'nothing'"):
        importlib.import_module("ledger").nothing  # noqa: B018 - asking is all
    with pytest.raises(ImportError):
        exec("from ledger import nothing")
