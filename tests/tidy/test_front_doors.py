"""A package is entered only by its front door: what another package imports from it stands in its `__all__`.

The doors hand out their names when somebody asks; what types see, what stands in `__all__` and what is handed out is the same.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.markdown import pages
from tests.support.sources import parsed

PACKAGES = ("ledger", "projections", "town", "agent_tools", "web")
ROOT = Path(__file__).parents[2]
SOURCES = [path for package in (*PACKAGES, "shapes", "cli") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_package_is_entered_by_its_front_door(path: Path) -> None:
    """No source file reaches past another package's `__init__`."""
    own = path.relative_to(ROOT).parts[0]
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        package = node.module.partition(".")[0]
        if package in PACKAGES and package != own:
            names = {alias.name for alias in node.names}
            assert node.module == package, f"line {node.lineno} reaches into {node.module}"
            assert names <= set(importlib.import_module(package).__all__), f"line {node.lineno}"


@pytest.mark.parametrize("package", PACKAGES)
def test_front_door_hands_out_what_others_use(package: str) -> None:
    """Every name in `__all__` has a user: another package of ours, or the programs of others.

    Another package uses what it imports, or takes as an attribute of the package. Programs of others use what the docs show
    them: names in code, on every page but the changelog and the decisions. Tests and benchmarks count for nothing: they
    import from the module itself what only they use.
    """
    handed_out = set(importlib.import_module(package).__all__)
    used = {name for path in SOURCES if path.relative_to(ROOT).parts[0] != package for name in _taken(path, package)}
    assert sorted(handed_out - used - _shown_in_docs()) == []


def _taken(path: Path, package: str) -> set[str]:
    """What a source file takes from a package's front door."""
    taken: set[str] = set()
    for node in ast.walk(parsed(path)):
        match node:
            case ast.ImportFrom(module=module) if module == package:
                taken.update(alias.name for alias in node.names)
            case ast.Attribute(value=ast.Name(id=name)) if name == package:
                taken.add(node.attr)
    return taken


def _shown_in_docs() -> set[str]:
    """The words that begin code between backticks, and those of all examples in Python."""
    shown: set[str] = set()
    for page in (path for path in pages() if path.name != "changelog.md" and "decisions" not in path.parts):
        text = page.read_text(encoding="utf-8")
        shown.update(re.findall(r"`([A-Za-z_]+)\b", text))
        shown.update(
            word for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) for word in re.findall(r"\w+", block)
        )
    return shown


@pytest.mark.parametrize("package", PACKAGES)
def test_front_door_hands_out_what_types_see(package: str) -> None:
    """The imports that only types see, the table of modules and `__all__` name the same things, from the same places."""
    door = importlib.import_module(package)
    tree = parsed(ROOT / package / "__init__.py")
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
