"""Snapshots and views that vanish from the server: every answer is whole and says so, and no command goes on from a gap."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import pytest

from ledger import Keys
from projections.live_board import LOST_SNAPSHOTS_FOLDED_MAX
from tests.support.tt import Tt
from town import Town

Lose = Callable[[Any, str], object]

LOSSES: Final[dict[str, Lose]] = {
    "deleted": lambda client, key: client.delete(key),
    "written over by a hash": lambda client, key: (client.delete(key), client.hset(key, "state", "pending")),
    "written over by a list": lambda client, key: (client.delete(key), client.rpush(key, "x")),
    "cut short": lambda client, key: client.set(key, client.get(key)[:-5]),
    "emptied": lambda client, key: client.set(key, b""),
}


def lose(folder: Path, change: Callable[[Any, Keys], object]) -> None:
    """Do something to the server's keys behind the program's back."""
    with Town.open(folder) as town:
        change(cast("Any", town.connection.client), town.keys)


@pytest.fixture
def tasks(town: Path) -> dict[str, str]:
    """A lead, a task below it that ada is at work on, one in the backlog and one that is done."""
    with Town.open(town, actor="ada") as opened:
        lead = opened.create("The lead", tags=["bug"]).task.id
        running = opened.create("The running one", agent="ada", parent=lead, tags=["bug"]).task.id
        opened.start(running)
        waiting = opened.create("The waiting one").task.id
        done = opened.create("The finished one", agent="ada").task.id
        opened.complete(done, result="All well")
    return {"lead": lead, "running": running, "waiting": waiting, "done": done}


READING: Final = [
    (["tasks"], ["running", "waiting", "lead"]),
    (["task", "list"], ["lead", "running", "waiting", "done"]),
    (["task", "list", "--agent", "ada"], ["running", "done"]),
    (["task", "list", "--state", "running"], ["running"]),
    (["task", "list", "--tag", "bug"], ["lead", "running"]),
    (["task", "list", "--parent", "{lead}"], ["running"]),
    (["task", "tree"], ["lead", "running", "waiting", "done"]),
    (["task", "tree", "{lead}"], ["lead", "running"]),
    (["task", "show", "{running}"], ["running"]),
    (["task", "current", "ada"], ["running"]),
    (["backlog", "list"], ["lead", "waiting"]),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_missing_snapshot_is_said_and_folded_from_the_history(
    tt: Tt, town: Path, tasks: dict[str, str], loss: str
) -> None:
    """Every reading command shows every task, says of how many the snapshot is missing, and ends with 0."""
    sound = {tuple(words): tt(*(word.format(**tasks) for word in words)).out for words, _ in READING}
    lose(town, lambda client, keys: [LOSSES[loss](client, keys.task(task)) for task in tasks.values()])
    for words, shown in READING:
        ran = tt(*(word.format(**tasks) for word in words))
        assert ran.code == 0, (words, ran.err)
        assert ran.out == sound[tuple(words)], words
        assert "missing or damaged" in ran.err, words
        named = [name for name in shown if tasks[name][:8] in ran.err]
        assert len(named) == min(len(shown), 3), (words, ran.err)
        assert "tt rebuild" in ran.err


@pytest.mark.parametrize("loss", LOSSES)
def test_missing_snapshot_is_counted_by_doctor_and_written_by_rebuild(
    tt: Tt, town: Path, tasks: dict[str, str], loss: str
) -> None:
    """`tt doctor` counts what is missing or of another type; after `tt rebuild` nobody warns any more."""
    lose(town, lambda client, keys: LOSSES[loss](client, keys.task(tasks["running"])))
    if "cut" not in loss and loss != "emptied":
        checks = {check["name"]: check for check in json.loads(tt("doctor", "--json").out)["checks"]}
        assert (checks["snapshots"]["state"], checks["snapshots"]["words"][:1]) == ("bad", "1")
    assert tt("rebuild").code == 0
    assert tt("tasks").err == ""
    checks = {check["name"]: check for check in json.loads(tt("doctor", "--json").out)["checks"]}
    assert checks["snapshots"]["state"] == "good"


@pytest.mark.parametrize("loss", LOSSES)
def test_no_command_goes_on_from_a_missing_snapshot(tt: Tt, town: Path, tasks: dict[str, str], loss: str) -> None:
    """What would change the task is refused with 5 and appends nothing; other tasks are changed as ever."""
    lose(town, lambda client, keys: [LOSSES[loss](client, keys.task(tasks[name])) for name in ("running", "waiting")])
    with Town.open(town) as opened:
        end = opened.end()
    for words in (
        ["task", "note", tasks["running"], "x"],
        ["backlog", "assign-all", "bob"],
        ["task", "complete", tasks["running"]],
    ):
        ran = tt(*words)
        assert ran.code == 5, (words, ran.out)
        assert "tt rebuild" in ran.err
    with Town.open(town) as opened:
        assert opened.end() == end
    assert tt("task", "note", tasks["done"], "x").code == 0


@pytest.mark.parametrize("view", ["created", "state", "agent", "backlog", "counts"])
@pytest.mark.usefixtures("tasks")
def test_missing_view_is_said_and_the_town_folded(tt: Tt, town: Path, view: str) -> None:
    """A list is never short without a word: views that hold the same tasks are counted against each other."""
    ask = [
        ["task", "list"],
        ["task", "list", "--agent", "ada"],
        ["task", "list", "--state", "pending"],
        ["backlog", "list"],
        ["tasks"],
    ]
    sound = {tuple(words): tt(*words).out for words in ask}
    lose(town, lambda client, keys: client.delete(*client.keys(f"{keys.prefix}:view:{view}*")))
    said = 0
    for words in ask:
        ran = tt(*words)
        assert ran.code == 0, (words, ran.err)
        assert ran.out == sound[tuple(words)], (words, view)
        said += "do not hold every task" in ran.err
    assert said, view
    assert tt("rebuild").code == 0
    assert tt("tasks").err == ""


def test_many_missing_snapshots_are_folded_at_once(tt: Tt, town: Path) -> None:
    """Where more are missing than are read one by one, the town is folded, and the list is as whole."""
    with Town.open(town, actor="ada") as opened:
        opened.imports.beads(_issues(town, LOST_SNAPSHOTS_FOLDED_MAX + 1))
    sound = tt("task", "list", "--limit", "200").out
    lose(town, lambda client, keys: client.delete(*client.keys(f"{keys.prefix}:task:*")))
    ran = tt("task", "list", "--limit", "200")
    assert (ran.code, ran.out) == (0, sound)
    assert f"{LOST_SNAPSHOTS_FOLDED_MAX + 1} tasks have no snapshot" in ran.err


def _issues(folder: Path, count: int) -> Path:
    path = folder / "issues.jsonl"
    path.write_text(
        "".join(json.dumps({"id": f"a-{n}", "title": f"Issue {n}", "status": "open"}) + "\n" for n in range(count))
    )
    return path


def test_removed_task_is_no_missing_one(tt: Tt, tasks: dict[str, str]) -> None:
    """A task that was removed has no snapshot by right: nobody warns."""
    assert tt("task", "remove", tasks["waiting"]).code == 0
    for words in (["tasks"], ["task", "list"], ["events"]):
        assert tt(*words).err == "", words
    assert tt("task", "show", tasks["waiting"]).code == 1
