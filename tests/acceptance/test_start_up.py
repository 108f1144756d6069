"""What the commands import that agents call all day: the less, the sooner they answer. Counted, so nothing here is noisy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.tt import PROCESS_SECONDS_MAX, Tt

MODULES_MAX: Final = 275
"""Of the whole process, in this environment; Python alone has about 60."""
UNNEEDED: Final = frozenset(
    {
        "asyncio",
        "cli.options",
        "cli.tree",
        "click",
        "email",
        "importlib.metadata",
        "ledger.blame",
        "ledger.causes",
        "projections.activity",
        "projections.board_diff",
        "prometheus_client",
        "pygments",
        "redis",
        "rich",
        "tomli_w",
        "town.reading.report",
        "typer",
    }
)
"""With them comes what nobody needs who reads or changes a task in a pipe."""
COMMANDS_OF_OTHERS: Final = "cli.commands."

_LISTED_AT_THE_END: Final = """
import atexit, json, sys
atexit.register(lambda: sys.__stderr__.write(json.dumps(sorted(sys.modules))))
from cli.start import main
main()
"""

COMMANDS: Final = {
    "task show": ("task", "show", "{task}"),
    "task start": ("task", "start", "{task}"),
    "task history": ("task", "history", "{task}"),
    "task list": ("task", "list", "--state", "assigned", "--json"),
    "tasks": ("tasks",),
    "assign": ("assign", "worker-1", "Write the release notes"),
}


@pytest.fixture
def task(tt: Tt, town: Path) -> str:
    assert town.is_dir()
    return str(tt("assign", "worker-1", "Implement it", "--json").json["task"]["id"])


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_command_imports_what_it_needs(town: Path, task: str, words: tuple[str, ...]) -> None:
    """No more modules than so many, none of those that only other commands need, and none that only a terminal needs."""
    found = imported(*(word.format(task=task) for word in words), folder=town)
    assert found & UNNEEDED == set()
    assert {name for name in found if name.startswith(COMMANDS_OF_OTHERS)} == {"cli.commands.tasks"}
    assert len(found) <= MODULES_MAX


@pytest.mark.parametrize("words", [("ask", "{task}", "Which?"), ("inbox",), ("inbox", "--json")], ids=" ".join)
def test_questions_import_what_they_need(town: Path, task: str, words: tuple[str, ...]) -> None:
    """As the others: agents ask, and look what waits."""
    found = imported(*(word.format(task=task) for word in words), folder=town)
    assert found & UNNEEDED == set()
    assert {name for name in found if name.startswith(COMMANDS_OF_OTHERS)} == {"cli.commands.questions"}
    assert len(found) <= MODULES_MAX


@pytest.mark.parametrize("words", [("ready",), ("next", "worker-1", "--start"), ("blocked", "--json")], ids=" ".join)
def test_what_to_do_next_imports_what_it_needs(town: Path, task: str, words: tuple[str, ...]) -> None:
    """As the others: agents ask for their next task all day."""
    found = imported(*words, folder=town)
    assert task
    assert found & UNNEEDED == set()
    assert {name for name in found if name.startswith(COMMANDS_OF_OTHERS)} == {"cli.commands.ready"}
    assert len(found) <= MODULES_MAX


def test_link_imports_what_it_needs(tt: Tt, town: Path, task: str) -> None:
    """As the others."""
    assert tt("task", "create", "Before it", "--alias", "other").code == 0
    found = imported("task", "link", task, "other", "--kind", "needs", folder=town)
    assert found & UNNEEDED == set()
    assert {name for name in found if name.startswith(COMMANDS_OF_OTHERS)} == {"cli.commands.links"}
    assert len(found) <= MODULES_MAX


def test_search_imports_what_it_needs(town: Path, task: str) -> None:
    """As the others; SQLite only where the town is large enough for an index."""
    found = imported("search", "implement", folder=town)
    assert task
    assert found & (UNNEEDED | {"sqlite3", "hashlib"}) == set()
    assert {name for name in found if name.startswith(COMMANDS_OF_OTHERS)} == {"cli.commands.search"}
    assert len(found) <= MODULES_MAX


def test_other_commands_import_their_own_module_alone(town: Path) -> None:
    """Typer takes them, and is given one command."""
    found = imported("events", folder=town)
    assert "typer" in found
    assert {name for name in found if name.startswith(COMMANDS_OF_OTHERS)} == {"cli.commands.events"}


def imported(*words: str, folder: Path) -> set[str]:
    """What `tt WORDS` has imported when it ends well."""
    ran = subprocess.run(
        [sys.executable, "-c", _LISTED_AT_THE_END, *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS_MAX,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stderr))
