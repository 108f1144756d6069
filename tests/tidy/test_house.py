"""The house rules that a machine can hold without annoying anyone."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.support.markdown import ROOT
from tests.support.sources import parsed

PACKAGES = ("ledger", "projections", "town")
SOURCES = [
    path
    for folder in (*PACKAGES, "agent_tools", "shapes", "web", "cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_are_sorted_and_there(package: str) -> None:
    """`__all__` is sorted, constants, classes, functions, without doubles, and each name can be imported."""
    module = importlib.import_module(package)
    assert sorted(module.__all__, key=_order) == module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_module_says_what_it_is_for(path: Path) -> None:
    """Every source module opens with a docstring."""
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize(
    "path", [path for name in ("ledger", "projections") for path in sorted((ROOT / name).rglob("*.py"))], ids=_name
)
def test_ledger_and_projections_name_no_command(path: Path) -> None:
    """No text in `ledger` and `projections` but a docstring names a command of `tt`: `town.advice` adds those."""
    tree = parsed(path)
    # A string that stands alone is a docstring, also below a constant.
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    assert [text for text in texts if "`tt " in text] == []


SAYS_JSON = frozenset({"say_json", "json_line"})


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "cli")], ids=_name)
def test_public_json_has_its_shape_in_shapes(path: Path) -> None:
    """What a command prints as JSON is made by a function `…_shape` of `shapes`, where one finds all public shapes."""
    if path == ROOT / "cli/output.py":
        return  # which has the two functions that print shapes
    tree = parsed(path)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    shapes = {name.name for each in imports if (each.module or "").startswith("shapes") for name in each.names}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in SAYS_JSON]
    given = [(call.lineno, _unpicked(call.args[0])) for call in calls]
    own = [line for line, shape in given if not isinstance(shape, ast.Call) or ast.unparse(shape.func) not in shapes]
    assert own == [], "lines that build JSON themselves"


def _unpicked(shape: ast.expr) -> ast.expr:
    """The shape that fields are picked from, if they are."""
    if isinstance(shape, ast.Call) and ast.unparse(shape.func) == "picked_shape":
        return shape.args[0]
    return shape


@pytest.mark.parametrize("path", TESTS, ids=_name)
def test_test_states_its_promise(path: Path) -> None:
    """Every test function has a docstring, and so has its module."""
    module = parsed(path)
    assert ast.get_docstring(module)
    found = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert [test.name for test in found if not ast.get_docstring(test)] == []


@pytest.mark.parametrize("path", TESTS, ids=_name)
def test_test_asserts(path: Path) -> None:
    """Every test function has an assertion, an expected error, or a call of a function named `assert_…`, where one reads it.

    A test that only runs something passes whatever comes of it.
    """
    tests = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)]
    assert [test.name for test in tests if test.name.startswith("test_") and not _asserts(test)] == []


def _asserts(test: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Assert) or _is_check(node) for node in ast.walk(test))


def _is_check(node: ast.AST) -> bool:
    """Whether it is a call of `raises` or of a function named `assert_…`."""
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func).rpartition(".")[2]
    return name == "raises" or name.startswith("assert_")


def _order(name: str) -> tuple[int, str]:
    """Ruff's order of `__all__`: constants, then classes, then the rest."""
    if name.isupper():
        return 0, name
    return (1, name) if name[0].isupper() else (2, name)
