"""What a command loads: bounds without noise on what takes time before anything is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.markdown import ROOT
from tests.support.towns import end_server
from town import Town

HEAVY: Final = frozenset(
    {
        *(
            "asyncio",
            "bz2",
            "dataclasses",
            "email",
            "getpass",
            "hashlib",
            "importlib.metadata",
            "inspect",
            "logging",
            "lzma",
        ),
        *(
            "multiprocessing",
            "prometheus_client",
            "random",
            "redis",
            "rich",
            "secrets",
            "select",
            "selectors",
            "shutil",
        ),
        *("socket", "ssl", "subprocess", "tempfile", "threading", "tomli", "tomli_w", "typer"),
    }
)
"""What takes long to import, and what a command that finds its server up has no use for."""

_MSGSPEC: Final = "import msgspec, pathlib, hiredis"
"""What nearly everything here stands on; their modules are not counted."""

_OPEN: Final = """
from pathlib import Path
from ledger import EventStore, Keys
from projections import LiveBoard, Projector
from town.folder.search import find
from town.folder.settings import read_settings
from town.server.connection import connect
found = find(Path.cwd())
settings = read_settings(found.folder)
connection = connect(found.folder, settings)
keys = Keys(settings.name)
EventStore(connection.client, keys).end()
Projector(connection.client, keys).checkpoints.read_sound()
"""

_USE: Final = """
from town import Town
with Town.open() as town:
    task = town.create("One", agent="ada").task
    town.start(task.id)
    town.note(task.id, "half way")
    assert len(town.history(task.id[:8])) == 4
    assert town.page().total == 1
    assert town.task(task.id).state == "running"
    assert town.count_agents()["ada"]
    town.complete(task.id, result="Done")
    assert [branch.task.id for branch in town.tree()] == [task.id]
    assert not town.upkeep.verify().findings
    town.upkeep.rebuild()
"""

LOADED: Final = {
    "ledger": ("import ledger", 3),
    "projections": ("import projections", 3),
    "town": ("import town", 3),
    "the ledger's event store": ("from ledger import EventStore", 25),
    "the board": ("from projections import LiveBoard, Projector", 55),
    "a town whose server is up": (_OPEN, 88),
}
"""What is done, and how many modules it may load beside those of _MSGSPEC."""


@pytest.mark.parametrize("what", LOADED)
def test_few_modules_are_loaded(what: str, folder: Path) -> None:
    """A bound on their number, and none of those that take long: redis-py alone takes as long as two whole commands."""
    program, modules_max = LOADED[what]
    loaded = _loaded(program, folder)
    assert loaded & HEAVY == set()
    assert len(loaded) <= modules_max, sorted(loaded)


def test_verbs_and_questions_of_a_town_load_no_redis_py(folder: Path) -> None:
    """Whatever the hot commands ask of a town with its own server: the small client has every method that it takes."""
    loaded = _loaded(_USE, folder)
    assert {name for name in loaded if name.partition(".")[0] == "redis"} == set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A town with a task, whose server is up."""
    Town.init(tmp_path, name="loaded").close()
    return tmp_path


def _loaded(program: str, folder: Path) -> set[str]:
    """The modules that a process of its own has beside those of _MSGSPEC, after the program."""
    measured = f"import json, sys\n{_MSGSPEC}\nbefore = set(sys.modules)\n{program}\nprint(json.dumps([*set(sys.modules) - before]))"
    try:
        ended = subprocess.run(
            # Without the site packages' own hooks, of which test environments have some.
            [sys.executable, "-c", measured],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        end_server(folder)
    return set(json.loads(ended.stdout))
