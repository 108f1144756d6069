"""A town whose ledger holds every kind of event that no command can make, as its people meet it: nobody is locked out."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.builders import task_id
from tests.support.damaged import BAD_CREATIONS, BAD_EVENTS, BAD_IDS, add_by_hand, creation, fact
from tests.support.tt import Ran, Tt
from town import Town


class Damaged(NamedTuple):
    """The town's folder, a task that is sound, one that is damaged, the position of its damage, and one that no event could make."""

    folder: Path
    sound: str
    damaged: str
    position: str
    unmade: str


@pytest.fixture
def damaged(town: Path, request: pytest.FixtureRequest) -> Damaged:
    """A town with each kind of damage; with `beyond` as the parameter, its clock lies after the year 9999."""
    with Town.open(town, actor="ada") as opened:
        sound = opened.create("Sound and safe", agent="ada", tags=["bug"], alias="sound").task.id
        opened.start(sound)
        tasks = {name: opened.create(f"To be {name}", tags=["bug"]).task.id for name in BAD_EVENTS}
        client, keys = opened.connection.client, opened.keys
        positions = {}
        for name, (state, fields) in BAD_EVENTS.items():
            _lead_to(opened, tasks[name], state)
            opened.upkeep.catch_up()
            positions[name] = add_by_hand(client, keys, tasks[name], **fields)
        for number, fields in enumerate(BAD_CREATIONS.values()):
            own = {"parent_id": task_id(500 + number)} if "parent_id" in fields["data"] else {}
            add_by_hand(client, keys, task_id(500 + number), **(fields | {"data": fields["data"] | own}))
        for task in BAD_IDS:
            add_by_hand(client, keys, task, **creation())
            add_by_hand(client, keys, task, **fact("noted", text="x"))
        first, second = opened.create("Above").task.id, opened.create("Below").task.id
        add_by_hand(client, keys, first, **fact("moved", parent_id=second))
        add_by_hand(client, keys, second, **fact("moved", parent_id=first))
        if getattr(request, "param", None) == "beyond":
            add_by_hand(client, keys, tasks["started while pending"], ms=9_999_999_999_999_999)
            add_by_hand(client, keys, task_id(900), ms=9_999_999_999_999_999, **creation())
    name = "completed while pending"
    return Damaged(town, sound, tasks[name], positions[name], task_id(500))


def _lead_to(town: Town, task: str, state: str) -> None:
    if state in ("assigned", "running", "completed", "failed"):
        town.assign(task, "worker-1")
    if state in ("running", "completed", "failed"):
        town.start(task)
    if state == "completed":
        town.complete(task)
    elif state == "failed":
        town.fail(task)
    elif state == "cancelled":
        town.cancel(task)
    elif state == "removed":
        town.remove(task)


def reading(damaged: Damaged) -> dict[str, tuple[list[str], int]]:
    """Every command that reads, and the exit code it ends with."""
    return {
        "tasks": (["tasks"], 0),
        "list": (["task", "list", "--limit", "1000"], 0),
        "list of a tag": (["task", "list", "--tag", "bug"], 0),
        "tree": (["task", "tree", "--limit", "1000"], 0),
        "tree of one": (["task", "tree", damaged.damaged], 0),
        "current": (["task", "current", "ada"], 0),
        "show": (["task", "show", damaged.sound], 0),
        "show damaged": (["task", "show", damaged.damaged], 0),
        "show unmade": (["task", "show", damaged.unmade], 5),
        "history": (["task", "history", damaged.sound], 0),
        "history damaged": (["task", "history", damaged.damaged], 0),
        "history unmade": (["task", "history", damaged.unmade], 0),
        "backlog": (["backlog", "list"], 0),
        "events": (["events", "--count", "1000"], 0),
        "events of an agent": (["events", "--agent", "ada"], 0),
        "events of a task": (["events", "--task", damaged.damaged], 0),
        "events of a time": (["events", "--since", "1h", "--until", "now"], 0),
        "replay": (["replay", "--at", "now"], 0),
        "stats": (["stats"], 0),
        "status": (["status"], 0),
        "towns": (["towns"], 0),
        "verify": (["verify"], 5),
        "projector": (["projector", "--once"], 0),
        "rebuild preview": (["rebuild", "--dry-run"], 0),
        "rebuild": (["rebuild"], 0),
        # A plan cannot hold tasks in a circle; which one to take out is said.
        "plan": (["sync", "pull"], 1),
        "migrate": (["migrate", "--dry-run"], 0),
    }


def assert_safe(ran: Ran, what: str) -> None:
    """Nothing that a terminal would obey, and no mistake of ours."""
    assert ran.code != 70, (what, ran.err)
    for text in (ran.out, ran.err):
        obeyed = {
            char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        }
        assert not obeyed, (what, text)


@pytest.mark.parametrize("damaged", ["now", "beyond"], indirect=True)
def test_every_reading_command_goes_on(tt: Tt, damaged: Damaged) -> None:
    """Other tasks are shown, the damaged one as it was before, with what is wrong beside it; no command ends unexpectedly."""
    for what, (arguments, code) in reading(damaged).items():
        ran = tt(*arguments)
        assert ran.code == code, f"{what} {ran.code} {ran.err}"
        assert_safe(ran, what)
    for what in ("tasks", "list", "tree", "events", "replay"):
        assert "Sound and safe" in tt(*reading(damaged)[what][0]).out, what
    shown = tt("task", "show", damaged.damaged)
    assert "pending" in shown.out
    assert damaged.position in shown.err
    assert "which is pending there" in shown.err
    assert shown.err.count(damaged.position) == 1
    assert "⚠ damaged: it says task.completed" in tt("task", "history", damaged.damaged).out
    assert "⚠ damaged: it says task.completed" in tt("events", "--task", damaged.damaged).out


@pytest.mark.parametrize("damaged", ["now", "beyond"], indirect=True)
def test_every_reading_command_tells_programs(tt: Tt, damaged: Damaged) -> None:
    """With --json too, one document; the damaged task says since when, and an event says what is wrong with it."""
    for what, (arguments, code) in reading(damaged).items():
        if what in ("plan", "projector"):
            continue
        ran = tt(*arguments, "--json")
        assert ran.code == code, (what, ran.code, ran.err)
        assert_safe(ran, what)
        assert not ran.out or json.loads(ran.out), what
    assert tt("task", "show", damaged.damaged, "--json").json["task"]["damaged_at"] == damaged.position
    assert "damaged_at" not in tt("task", "show", damaged.sound, "--json").json["task"]
    events = tt("task", "history", damaged.damaged, "--json").json["events"]
    assert [each["position"] for each in events if "flaw" in each] == [damaged.position]


def test_every_writing_command_works_on_other_tasks(tt: Tt, damaged: Damaged) -> None:
    """And is refused on the damaged one, with position and rule, exit code 5."""
    sound = damaged.sound
    for arguments in (
        ["assign", "bob", "One more"],
        ["task", "create", "Two more", "--agent", "bob", "--parent", sound],
        ["task", "note", sound, "Half way"],
        ["task", "edit", sound, "Sound still"],
        ["task", "tag", sound, "--add", "new"],
        ["task", "move", sound, "--top"],
        ["task", "requeue", sound],
        ["task", "assign", sound, "eve"],
        ["task", "start", sound],
        ["task", "complete", sound, "--with-children"],
        ["task", "reopen", sound],
        ["task", "cancel", sound],
        ["backlog", "assign-all", "bob"],
        ["reclaim"],
    ):
        ran = tt(*arguments)
        assert ran.code == 0, (arguments, ran.err)
    advice = tt("sync", "pull").err
    assert tt(*advice.partition("`tt ")[2].partition("`")[0].split()).code == 0
    for arguments in (["sync", "pull"], ["sync", "push"], ["plan"]):
        ran = tt(*arguments)
        assert ran.code == 0, (arguments, ran.err)
    for arguments in (
        ["task", "note", damaged.damaged, "x"],
        ["task", "complete", damaged.damaged, "--agent", "bob"],
        ["task", "assign", damaged.damaged, "bob"],
        ["task", "move", damaged.damaged, "--top"],
        ["task", "tag", damaged.damaged, "--add", "x"],
        ["task", "remove", damaged.damaged],
        ["task", "reopen", damaged.damaged],
    ):
        ran = tt(*arguments)
        assert ran.code == 5, (arguments, ran.err)
        assert damaged.position in ran.err
        assert "it says task.completed" in ran.err
    assert tt("task", "note", damaged.unmade, "x").code == 5


@pytest.mark.parametrize("damaged", ["beyond"], indirect=True)
def test_append_after_the_year_9999_is_refused(tt: Tt, damaged: Damaged) -> None:
    """The ledger's clock is broken, and that is said; nothing is written."""
    before = tt("events", "--json").out
    ran = tt("task", "note", damaged.sound, "x")
    assert ran.code == 5
    assert "9999999999999999-" in ran.err
    assert tt("events", "--json").out == before
