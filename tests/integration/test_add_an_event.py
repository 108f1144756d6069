"""The event of docs/howto/add-an-event.md: the page's lines go into a copy of the packages, which then has the event."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bindings import Bindings
from tests.support.markdown import DOCS, ROOT, blocks
from tests.support.towns import end_server
from tests.support.tt import Ran, run_process

PAGE = DOCS / "howto" / "add-an-event.md"
PACKAGES = ("ledger", "projections", "town", "cli")
BLOCKS = blocks(PAGE.read_text("utf-8"))
DIFFS = [block for block in BLOCKS if block.language == "diff"]
BETWEEN = "…"


def insert(source: str, lines: list[str]) -> str:
    """A source with one part of a diff in it: what the part has without `+` must stand there, once."""
    old, new = ("\n".join(line[1:] for line in lines if not line.startswith(sign)) for sign in ("+", "-"))
    assert source.count(f"\n{old}\n") == 1, f"stands there {source.count(old)} times:\n{old}"
    return source.replace(f"\n{old}\n", f"\n{new}\n")


def parts(lines: tuple[str, ...]) -> Iterator[list[str]]:
    part: list[str] = []
    for line in (*lines, BETWEEN):
        if line == BETWEEN:
            yield part
            part = []
        else:
            part.append(line or " ")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with the event of the page."""
    place = tmp_path_factory.mktemp("packages")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    for block in DIFFS:
        path = place / block.lines[0].removeprefix("--- ")
        source = path.read_text("utf-8")
        for part in parts(block.lines[1:]):
            source = insert(source, part)
        path.write_text(source, encoding="utf-8")
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder to make a town in."""
    place = tmp_path / "demo"
    place.mkdir()
    yield place
    end_server(place)


def test_page_does_what_it_says(packages: Path, folder: Path) -> None:
    """Each command of the page ends well and prints what the page shows; snapshots and histories hold the field."""
    bindings = Bindings()

    def run(*words: str) -> Ran:
        return run_process(*words, folder=folder, env={"PYTHONPATH": str(packages), "TT_ACTOR": "alice", "TZ": "UTC"})

    [session] = [block for block in BLOCKS if block.language == "text"]
    for example in re.split(r"^\$ tt ", session.text, flags=re.MULTILINE)[1:]:
        command, *expected = example.splitlines()
        ran = run(*shlex.split(bindings.fill(command)))
        assert ran.code == 0, f"tt {command}: {ran.err}"
        problem = bindings.compare(expected, ran.out.splitlines())
        assert problem is None, f"tt {command}: {problem}\n{ran.out}"
    leak = bindings.fill("550e8400")
    assert run("task", "show", leak, "--json").json["task"]["estimate"] == "small"
    history = run("task", "history", leak, "--json").json["events"]
    assert history[-1]["changes"] == [{"field": "estimate", "before": None, "after": "small"}]
    assert "estimate: — → small" in run("task", "history", leak).out
    assert "estimated: small" in run("events").out
    plain = run("task", "create", "Paint the gate", "--json").json["task"]
    assert "estimate" not in plain
    assert run("task", "estimate", leak, "soon").code == 2
    assert run("task", "complete", leak).code == 0
    assert run("task", "estimate", leak, "large").code == 1
    assert run("verify").code == 0


def test_page_names_the_files_it_changes() -> None:
    """The page's table has each file that its lines go into, and the other way round."""
    table = PAGE.read_text("utf-8").partition("| --- | --- |")[2].partition("\n\n")[0]
    changed = [block.lines[0].removeprefix("--- ") for block in DIFFS]
    assert sorted(re.findall(r"`([a-z_/]+\.py)`", table)) == sorted(changed)
