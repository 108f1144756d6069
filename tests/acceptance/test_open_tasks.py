"""`tt tasks` in a town with more than one looks at: a page of each agent and in all, and every cut says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import Event, NewEvent, TaskAssigned, TaskCreated, TaskStarted
from tests.support.builders import task_id
from tests.support.tt import Tt
from town import Town

AGENTS = ("ada", "Ben Ali", *(f"worker-{number}" for number in range(10)))
TASKS = 12


@pytest.fixture
def full(town: Path) -> Path:
    """A town in which every agent has 12 tasks, of which it has begun the first, and 15 tasks are nobody's."""
    facts: list[list[Event]] = []
    for agent in AGENTS:
        assigned = [[TaskCreated(f"{agent} {number}"), TaskAssigned(agent)] for number in range(TASKS)]
        assigned[0].append(TaskStarted())
        facts += assigned
    facts += [[TaskCreated(f"free {number}")] for number in range(15)]
    events = [
        NewEvent(task=task_id(task), version=version, actor="alice", command=f"c-{task}", data=fact)
        for task, lives in enumerate(facts, start=1)
        for version, fact in enumerate(lives, start=1)
    ]
    with Town.open(town, actor="alice") as opened:
        opened.backend.store.append(events, {task_id(task): 0 for task in range(1, len(facts) + 1)})
    return town


def descriptions(group: dict[str, object]) -> list[str]:
    tasks = group["tasks"]
    assert isinstance(tasks, list)
    return [str(task["description"]) for task in tasks]


def test_tasks_shows_a_page_of_each_agent_and_in_all(tt: Tt, full: Path) -> None:
    """What runs first, then the newest; ten of each and a hundred in all, and how many there are."""
    assert full.is_dir()
    shown = tt("tasks", "--json").json
    assert (shown["total"], shown["has_more"]) == (len(AGENTS) * TASKS + 15, True)
    groups = shown["agents"]
    assert [group["agent"] for group in groups] == [*sorted(AGENTS), None]
    assert {(group["total"], group["has_more"]) for group in groups[:-1]} == {(TASKS, True)}
    assert [len(group["tasks"]) for group in groups] == [10] * 10 + [0] * 3
    assert descriptions(groups[1]) == ["ada 0", *(f"ada {number}" for number in range(11, 2, -1))]


def test_cut_says_how_many_more_and_how_to_see_them(tt: Tt, full: Path) -> None:
    """After each table, and at the end for those that have none; what is said can be typed."""
    assert full.is_dir()
    ran = tt("tasks")
    assert "ada: 12 tasks\n" in ran.out
    assert "… 2 more: tt tasks --agent ada\n" in ran.out
    assert "… 2 more: tt tasks --agent 'Ben Ali'\n" in ran.out
    assert ran.err == (
        "39 tasks of worker-8, worker-9, Backlog not shown. All: tt tasks --all, one agent's: --agent NAME\n"
    )
    alone = tt("tasks", "--agent", "Ben Ali")
    assert len(alone.out.splitlines()) == 2 + TASKS
    assert alone.err == ""


def test_limit_is_for_each_and_all_is_everything(tt: Tt, full: Path) -> None:
    """--limit 2 is 2 of each and 20 in all; --all is all, where nothing is left out."""
    assert full.is_dir()
    few = tt("tasks", "--limit", "2", "--json").json["agents"]
    assert [len(group["tasks"]) for group in few] == [2] * 10 + [0] * 3
    whole = tt("tasks", "--all", "--json").json
    assert [len(group["tasks"]) for group in whole["agents"]] == [TASKS] * len(AGENTS) + [15]
    assert whole["has_more"] is False
    assert descriptions(whole["agents"][-1]) == [f"free {number}" for number in range(15)]
    assert tt("tasks", "--all").err == ""


def test_agent_without_open_tasks_is_told(tt: Tt, town: Path) -> None:
    """No table, no error; a name that is none is refused, and so is a limit of everything."""
    assert town.is_dir()
    assert tt("tasks", "--agent", "ada").out == "ada has no open task.\n"
    assert tt("tasks", "--agent", "ada", "--json").json == {
        "town": "demo",
        "total": 0,
        "has_more": False,
        "next": None,
        "lost": {"tasks": [], "has_more": False},
        "agents": [],
    }
    assert tt("tasks", "--agent", "a\x1bb").code == 1
    refused = tt("tasks", "--all", "--limit", "3")
    assert refused.code == 2
    assert "Give either --limit or --all." in refused.err


def test_tasks_of_a_town_that_an_older_program_projected_are_the_same(tt: Tt, full: Path) -> None:
    """Folded from the ledger, once: the same groups and totals."""
    before = tt("tasks", "--json")
    with Town.open(full) as opened:
        opened.connection.client.hset(opened.keys.checkpoint("task"), "schema_version", "0")
    after = tt("tasks", "--json")
    # Whether a runner lives is not in the ledger.
    assert after.json == before.json | {"lost": None}
    assert "read from the ledger" in after.err
