"""`--at`: what a reading command shows of an earlier moment is what it showed then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.tt import Tt

READING: tuple[tuple[str, ...], ...] = (
    ("tasks",),
    ("tasks", "--agent", "ada"),
    ("task", "list"),
    ("task", "list", "--state", "pending", "--tag", "docs"),
    ("task", "list", "--parent", "top"),
    ("task", "tree"),
    ("task", "tree", "top"),
    ("task", "show", "top"),
    ("task", "current", "ada"),
    ("backlog", "list"),
    ("ready",),
    ("ready", "--agent", "ada", "--explain"),
    ("prime", "--agent", "ada"),
    ("blocked",),
    ("critical-path",),
    ("inbox",),
    ("status", "--tasks"),
    ("search", "docs"),
    ("search", "figures", "--ever"),
    ("search", "write", "--state", "pending"),
    ("stats",),
    ("stats", "--by", "tag"),
)
WRITING: tuple[tuple[str, ...], ...] = (
    ("task", "create", "Write the docs", "--alias", "top", "--tag", "docs"),
    ("task", "create", "Its figures", "--alias", "figures", "--parent", "top", "--agent", "ada"),
    ("task", "start", "figures"),
    ("task", "tag", "top", "--add", "urgent"),
    ("task", "move", "figures", "--top"),
    ("task", "complete", "figures"),
    ("task", "assign", "top", "ada"),
    ("backlog", "add", "Clean up", "--tag", "docs", "--needs", "top"),
    ("task", "remove", "figures"),
    ("task", "start", "top"),
)
MOMENT = ("position", "number", "time")


def shown(tt: Tt, command: tuple[str, ...], *at: str) -> dict[str, Any]:
    ran = tt(*command, *at, "--json")
    assert ran.code == 0, ran.err
    shape: dict[str, Any] = ran.json
    if at:
        # The moment stands beside the answer; of `status` its position, the rest of which is about now.
        assert set(MOMENT) <= shape.keys() or command[0] == "status"
        assert shape.pop("understood") == {"at": {"when": at[-1]}}
        assert shape.get("number", 1) >= 1
    # Whether a runner lives is known of now alone.
    return {key: value for key, value in shape.items() if key not in (*MOMENT, "server", "durability", "lost")}


def test_every_reading_command_shows_an_earlier_moment_as_it_was_then(tt: Tt, town: Path) -> None:
    """One option of all of them, through the same code as now (issue: `--at` of two commands only)."""
    assert town.is_dir()
    seen: list[tuple[int, tuple[str, ...], dict[str, Any]]] = []
    for number, command in enumerate(WRITING):
        assert tt(*command).code == 0
        events = tt("status", "--json").json["events"]
        if number:
            seen += [(events, each, shown(tt, each)) for each in READING]
    for events, command, then in seen:
        assert shown(tt, command, "--at", str(events)) == then, (events, command)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_moment_is_said_above_the_answer(tt: Tt, town: Path, command: tuple[str, ...]) -> None:
    """Nobody takes the past for the present."""
    assert town.is_dir()
    for each in WRITING[:2]:
        assert tt(*each).code == 0
    ran = tt(*command, "--at", "2")
    assert ran.code == 0
    assert (
        "as it was after event 2, " in ran.out.replace("As it", "as it").replace("they were", "it was").splitlines()[0]
    )


def test_task_that_was_not_there_yet_is_said_so(tt: Tt, town: Path) -> None:
    """By alias, by id and by the beginning of it."""
    assert town.is_dir()
    for each in WRITING[:2]:
        assert tt(*each).code == 0
    task = tt("task", "show", "figures", "--json").json["task"]["id"]
    for name in ("figures", task, task[:8]):
        ran = tt("task", "show", name, "--at", "1")
        assert ran.code == 1
        assert "No task was called" in ran.err


def test_removed_task_is_shown_as_it_was(tt: Tt, town: Path) -> None:
    """By what it was called then, though nothing is called so any more."""
    assert town.is_dir()
    for each in WRITING:
        assert tt(*each).code == 0
    events = tt("status", "--json").json["events"]
    assert tt("task", "show", "figures").code == 1
    before = tt("task", "show", "figures", "--at", str(events - 2), "--json")
    assert (before.code, before.json["task"]["state"]) == (0, "completed")
