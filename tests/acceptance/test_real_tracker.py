"""A real project's tracker over four months, laid down version by version, and every version shown again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from ledger import Keys, task_id_of_alias
from tests.support.tracker import MADE_UP, REAL, Issue, skip_without, versions
from tests.support.tt import Tt
from town.reading import folding

TASKS_SHOWN = 3
"""How many tasks, and how many agents, are asked for one by one at each version."""


@pytest.mark.parametrize("history", [MADE_UP, REAL], ids=["made-up", "real"])
def test_real_input_replays_to_every_version(
    history: Path, tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each version, imported at its own date, is the board at its position and at its time; the keys are the last one.

    Boards are kept after few events, so nearly all of these looks begin at one.
    """
    skip_without(history)
    monkeypatch.setattr(folding, "FOLDED_EVENTS_MAX", 20)
    monkeypatch.setattr(folding, "KEPT_EVENTS_MIN", 20)
    laid_down: list[tuple[str, str, dict[str, Any]]] = []
    export = town / "issues.jsonl"
    for time, issues in versions(history):
        export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues.values()))
        imported = tt("import", "beads", str(export), "--prune", "--backdate", time, "--json")
        assert imported.code == 0, imported.err
        position = imported.json["position"] or laid_down[-1][0]
        laid_down.append((position, time, expected_board(issues)))
    assert len({time for _, time, _ in laid_down}) == len(laid_down), "versions of one time cannot be told apart by it"

    before: dict[str, Any] = {}
    for position, time, board in laid_down:
        assert replayed(tt, position) == board
        assert replayed(tt, time) == board
        every_command_shows(
            tt, time, board, changed=[key for key in board if board[key] != before.get(key)][:TASKS_SHOWN]
        )
        before = board

    last = laid_down[-1][2]
    client = redis.Redis(unix_socket_path="redis.sock")
    keys = list(client.scan_iter(Keys("demo").task("*"), count=1_000))
    snapshots = [json.loads(snapshot) for snapshot in cast("list[bytes]", client.mget(keys))]
    client.close()
    assert as_board(snapshots) == last
    assert tt("import", "beads", str(export), "--prune", "--json").json["events"] == 0


def test_real_input_has_the_size_that_was_announced() -> None:
    """103 versions, 908 issues at the end, 92 removals, 12 closed issues that open again."""
    skip_without(REAL)
    removed = reopened = count = 0
    before: dict[str, Issue] = {}
    for _, issues in versions(REAL):
        count += 1
        removed += len(before.keys() - issues.keys())
        reopened += sum(
            before[key]["status"] == "closed" and issue["status"] != "closed"
            for key, issue in issues.items()
            if key in before
        )
        before = dict(issues)
    assert (count, len(before), removed, reopened) == (103, 908, 92, 12)


def replayed(tt: Tt, when: str) -> dict[str, Any]:
    ran = tt("replay", "--at", when, "--json")
    assert ran.code == 0, ran.err
    return as_board(ran.json["tasks"])


def every_command_shows(tt: Tt, when: str, board: dict[str, Any], *, changed: list[str]) -> None:
    """Each command that reads a moment shows this board, and `task show` the tasks that `changed`."""

    def read(*words: str) -> dict[str, Any]:
        ran = tt(*words, "--at", when, "--json")
        assert ran.code == 0, ran.err
        return cast("dict[str, Any]", ran.json)

    def having(*states: str) -> dict[str, Any]:
        return {key: task for key, task in board.items() if task["state"] in states}

    all_of_them = ("--limit", "100000")
    assert as_board(read("task", "list", *all_of_them)["tasks"]) == board
    assert as_board(read("task", "list", "--state", "completed", *all_of_them)["tasks"]) == having("completed")
    assert as_board(read("backlog", "list", *all_of_them)["tasks"]) == having("pending")
    groups = read("tasks", "--all")["agents"]
    assert as_board([task for group in groups for task in group["tasks"]]) == having("pending", "assigned", "running")
    assert all(task["assigned_to"] == group["agent"] for group in groups for task in group["tasks"])

    branches = read("task", "tree")["tasks"]
    assert as_board([branch["task"] for branch in branches]) == board
    assert all((branch["depth"] == 0) == (branch["task"]["parent_id"] is None) for branch in branches)

    status = read("status", "--tasks")
    assert status["states"] == {state: len(having(state)) for state in status["states"]}
    agents = {task["assigned_to"] for task in board.values()} - {None}
    assert status["agents"] == {
        agent: {
            state: sum(task["assigned_to"] == agent for task in having(state).values()) for state in status["states"]
        }
        for agent in agents
    }
    for agent in sorted(agents)[:TASKS_SHOWN]:
        current = read("task", "current", agent)["task"]
        has = [having(state) for state in ("running", "assigned")]
        running, waiting = ([key for key, task in found.items() if task["assigned_to"] == agent] for found in has)
        assert (current is None and not running + waiting) or current["alias"] in (running or waiting)
    for key in changed:
        assert as_board([read("task", "show", key)["task"]]) == {key: board[key]}


def as_board(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Alias -> what the mapping speaks of."""
    fields = ("id", "state", "assigned_to", "description", "parent_id", "result")
    return {
        task["alias"]: {
            **{field: task[field] for field in fields},
            **{field: set(task.get(field, ())) for field in ("tags", "needs", "relates")},
            "priority": task.get("priority", 2),
        }
        for task in tasks
    }


def expected_board(issues: dict[str, Issue]) -> dict[str, Any]:
    """The mapping of the issue, written down once more: it shares nothing with the program."""
    parents = {key: parent_of(issue) for key, issue in issues.items()}
    board: dict[str, Any] = {}
    for key, issue in issues.items():
        status = issue["status"]
        if status == "tombstone":
            continue
        state = {"closed": "completed", "in_progress": "running", "hooked": "assigned"}.get(status, "pending")
        if status == "open" and issue.get("assignee"):
            state = "assigned"
        tags = {*(issue.get("labels") or []), f"type:{issue['issue_type']}"}
        if status in ("blocked", "deferred", "pinned"):
            tags.add(f"status:{status}")
        parent = parents[key]
        is_kept = parent in issues and issues[parent]["status"] != "tombstone" and not is_on_circle(key, parents)
        board[key] = {
            "id": task_id_of_alias("demo", key),
            "state": state,
            "assigned_to": None if state == "pending" else issue.get("assignee") or issue["created_by"],
            "description": issue["title"],
            "parent_id": task_id_of_alias("demo", str(parent)) if is_kept else None,
            "result": (issue.get("close_reason") or None) if state == "completed" else None,
            "tags": tags,
            "needs": set[str](),
            "relates": linked(issue, issues, "related", "relates-to"),
            "priority": issue["priority"],
        }
    add_needs(board, {task["id"]: linked(issues[key], issues, "blocks", "waits-for") for key, task in board.items()})
    return board


def linked(issue: Issue, issues: dict[str, Issue], *kinds: str) -> set[str]:
    """The tasks of other issues that are there, to which it has dependencies of these kinds."""
    to = {each["depends_on_id"] for each in issue.get("dependencies") or [] if each["type"] in kinds}
    there = {key for key in to & issues.keys() - {issue["id"]} if issues[key]["status"] != "tombstone"}
    return {task_id_of_alias("demo", key) for key in there}


def add_needs(board: dict[str, Any], needs: dict[str, set[str]]) -> None:
    """Add the needs that are on no circle: those from whose end nothing waits for the beginning of the task."""
    parents = {task["id"]: task["parent_id"] for task in board.values()}
    waits_for: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for id_, parent in parents.items():
        waits_for.setdefault((id_, "done"), set()).add((id_, "begun"))
        waits_for[id_, "begun"] = {(each, "done") for each in needs[id_]}
        if parent is not None:
            waits_for[id_, "begun"].add((parent, "begun"))
            waits_for.setdefault((parent, "done"), set()).add((id_, "done"))
    for task in board.values():
        for needed in needs[task["id"]]:
            seen, remaining = set[tuple[str, str]](), [(needed, "done")]
            while remaining:
                step = remaining.pop()
                if step not in seen:
                    seen.add(step)
                    remaining += waits_for[step]
            if (task["id"], "begun") not in seen:
                task["needs"].add(needed)


def parent_of(issue: Issue) -> str | None:
    for dependency in issue.get("dependencies") or []:
        if dependency["type"] == "parent-child":
            return str(dependency["depends_on_id"])
    return None


def is_on_circle(key: str, parents: dict[str, str | None]) -> bool:
    current: str | None = key
    for _ in parents:
        current = parents.get(str(current))
        if current == key:
            return True
    return False
