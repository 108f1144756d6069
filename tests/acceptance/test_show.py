"""`tt task show`: a task with what stands around it, and errors that name it as the user did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builders import append, task_id
from tests.support.terminal import on_terminal
from tests.support.tt import Tt
from town import Town

CHILDREN = 23
EVENTS = 130


@pytest.fixture
def login(tt: Tt, town: Path) -> str:
    """The alias of a task with a parent, three children in two states, two notes, and a note on its first event."""
    assert town.is_dir()
    for line in (
        ("task", "create", "The first release", "--alias", "release"),
        ("task", "create", "Build the login page", "--alias", "login", "--parent", "release"),
        ("task", "create", "Form", "--alias", "form", "--parent", "login", "--agent", "ada"),
        ("task", "create", "Server side", "--parent", "login"),
        ("task", "create", "Tests", "--parent", "login"),
        ("task", "note", "login", "The form comes first."),
        ("task", "complete", "form"),
        ("task", "note", "login", "The \x1b[31mform\x1b[0m is done."),
        ("annotate", "2", "Why so late?"),
    ):
        assert tt(*line).code == 0
    return "login"


def test_show_has_notes_children_and_last_events(tt: Tt, login: str) -> None:
    """Notes in order, children oldest first with their states, events with the notes on them; nothing obeys an escape."""
    out = tt("task", "show", login).out
    sections = out.split("\n\n")
    assert "release  The first release" in sections[0]
    assert sections[1].startswith("2 notes:\n")
    assert sections[1].index("The form comes first.") < sections[1].index("The \\x1b[31mform\\x1b[0m is done.")
    assert sections[2].startswith("3 children (2 pending, 1 completed):\n")
    assert [line.split()[1] for line in sections[2].splitlines()[1:]] == ["completed", "pending", "pending"]
    assert sections[3].startswith("3 events:\n")
    assert "created: Build the login page  ✎ " in sections[3]
    assert "\x1b" not in out


def test_show_of_an_earlier_moment_shows_what_was_around_then(tt: Tt, login: str) -> None:
    """Children in the states that they had, the notes that there were, and no later note on an event."""
    shown = tt("task", "show", login, "--at", "7", "--json").json
    assert shown["children"]["states"] == {"pending": 2, "assigned": 1}
    assert [note["text"] for note in shown["notes"]["notes"]] == ["The form comes first."]
    assert [event["type"] for event in shown["events"]["events"]] == ["task.created", "task.noted"]
    assert "annotations" not in shown["events"]["events"][0]
    assert "3 children (2 pending, 1 assigned):" in tt("task", "show", login, "--at", "7").out


def test_show_now_is_show_at_now(tt: Tt, login: str) -> None:
    """The views and the ledger tell the same."""
    now = tt("task", "show", login, "--json").json
    end = tt("task", "show", login, "--at", "HEAD", "--json").json
    assert {name: end[name] for name in now} == now


def test_show_says_what_it_leaves_out_and_how_to_go_on(tt: Tt, town: Path) -> None:
    """The first children and the last notes and events, with how many there are, and the command for the rest."""
    with Town.open(town, actor="alice") as opened:
        task = opened.create("a", alias="big").task.id
        for number in range(CHILDREN):
            opened.create(f"child {number}", parent=task)
        for number in range(EVENTS):
            opened.note(task, f"note {number}")
    shown = tt("task", "show", "big", "--json").json
    assert (shown["children"]["total"], shown["children"]["has_more"]) == (CHILDREN, True)
    assert (shown["events"]["total"], shown["events"]["has_more"]) == (EVENTS + 1, True)
    # The history was not read to its beginning.
    assert (shown["notes"]["total"], shown["notes"]["has_more"]) == (None, True)
    assert shown["notes"]["notes"][-1]["text"] == f"note {EVENTS - 1}"
    out = tt("task", "show", "big").out
    rest = out[out.index("`tt task list") + 1 :].partition("`")[0]
    assert len(tt(*rest.split()[1:], "--json").json["tasks"]) == CHILDREN - len(shown["children"]["tasks"])
    assert f"5 of {EVENTS + 1} events; `tt task history {task[:8]}`" in out


@pytest.mark.parametrize("columns", [40, 80])
def test_show_fits_the_terminal(tt: Tt, login: str, town: Path, columns: int) -> None:
    """Long fields, notes and titles go on below their own beginning; an id is one piece, whatever its length."""
    assert tt("task", "note", login, "a long note " * 20).code == 0
    assert tt("task", "edit", login, "A title\n\n" + "a long body " * 20).code == 0
    shown = on_terminal(["task", "show", login], town, {"COLUMNS": str(columns), "NO_COLOR": "1"})
    lines = shown.replace("\r", "").splitlines()
    long = [line for line in lines if len(line) > columns and "tt task" not in line]
    name = tt("task", "show", login, "--json=id").json["task"]["id"]
    assert [line for line in long if name not in line] == []
    assert sum(name in line for line in lines) == 1


def test_children_of_a_task_with_very_many_are_the_oldest(town: Path) -> None:
    """More than the server puts in order: then the order of creation is walked."""
    with Town.open(town, actor="alice") as opened:
        top = opened.create("top").task.id
        first = [opened.create("first", parent=top).task.id for _ in range(2)]
        events = [(task_id(number), number) for number in range(1_010)]
        from ledger import NewEvent, TaskCreated, new_command_id  # noqa: PLC0415 - for this test

        command = new_command_id()
        opened.backend.store.append(
            [
                NewEvent(task=each, version=1, actor="alice", command=command, data=TaskCreated("a", parent_id=top))
                for each, _ in events
            ],
            {each: 0 for each, _ in events},
        )
        opened.upkeep.catch_up()
        details = opened.details(top)
        assert [child.id for child in details.relatives.children[:2]] == first
        assert (details.relatives.total, details.relatives.states) == (1_012, {})
        assert details.has_more_children


def test_show_of_a_task_whose_history_is_broken_shows_the_task(tt: Tt, town: Path) -> None:
    """Its snapshot is there; a warning says why its events are not."""
    with Town.open(town, actor="alice") as opened:
        task = opened.create("a", alias="torn").task
        opened.note("torn", "halfway")
        opened.connection.client.xdel(opened.keys.ledger, str(task.position))
    shown = tt("task", "show", "torn", "--json")
    assert shown.json["task"]["version"] == 2
    assert shown.json["events"] == {"total": 2, "has_more": True, "events": []}
    assert "could not be read" in shown.err


def test_error_names_a_task_as_the_user_did_beside_its_id(tt: Tt, login: str) -> None:
    """An alias came back as an id alone. Advice keeps the id, which is one word."""
    task = tt("task", "show", login, "--json").json["task"]["id"]
    form = tt("task", "show", "form", "--json").json["task"]["id"]
    refused = tt("task", "cancel", "form")
    assert refused.code == 1
    assert f"Task form ({form}) is completed already. Open it again first: `tt task reopen {form}`." in refused.err
    assert tt("task", "cancel", login, "--expect", "99").err.count(f"login ({task})") == 1
    assert f"Task {form} is completed" in tt("task", "cancel", form[:12]).err
    refused = tt("task", "complete", login, "--agent", "ada")
    assert f"Task login ({task}) has 2 open tasks right below it: `tt task tree {task}`." in refused.err


@pytest.mark.parametrize("at", [(), ("--at", "HEAD")])
def test_prefix_of_fifteen_tasks_says_fifteen(tt: Tt, town: Path, at: tuple[str, ...]) -> None:
    """It said that there were five. Some are named, with their titles."""
    with Town.open(town, actor="alice") as opened:
        from ledger import TaskCreated  # noqa: PLC0415 - for this test

        for number in range(15):
            append(opened.backend.store, [TaskCreated(f"Title {number}\nmore")], task=task_id(number))
        opened.upkeep.catch_up()
    refused = tt("task", "show", "0", *at)
    assert refused.code == 1
    assert "Several tasks begin with '0', 15 in all, such as:" in refused.err
    assert f"\n  {task_id(3)}  Title 3\n" in refused.err
    assert refused.err.count("Title") == 5
