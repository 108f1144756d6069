"""`tt task list`: repeated filters, orders, fields of JSON and CSV, now and at an earlier moment."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from ledger import FIELD_NAMES
from tests.support.tt import Tt
from tests.support.waiting import wait_until
from town import Town

TASKS = {
    "Fix the login": ("ada", ("P0", "bug")),
    "Write the docs": ("bob", ("P0", "docs")),
    "Remove the old login": (None, ("P2", "bug")),
    "=Measure it": ("ada", ()),
}


@pytest.fixture
def tasks(town: Path) -> Path:
    """Four tasks: the second is completed, and the first was changed last."""
    with Town.open(town) as opened:
        ids = [
            opened.create(text, agent=agent, tags=tags, alias=f"t{number}").task.id
            for number, (text, (agent, tags)) in enumerate(TASKS.items(), 1)
        ]
        # Changes in one millisecond are in no order.
        wait_until(lambda: opened.time_ms() > opened.end().ms)
        opened.complete(ids[1], result="Done")
        wait_until(lambda: opened.time_ms() > opened.end().ms)
        opened.note(ids[0], "half way")
    return town


def aliases(tt: Tt, *words: str) -> list[str]:
    return [task["alias"] for task in tt("task", "list", "--json=alias", *words).json["tasks"]]


CASES = {
    "both tags": (("--tag", "P0", "--tag", "bug"), ["t1"]),
    "either state": (("--state", "pending", "--state", "completed"), ["t2", "t3"]),
    "not a tag": (("--not-tag", "bug"), ["t2", "t4"]),
    "not these tags": (("--not-tag", "bug", "--not-tag", "docs"), ["t4"]),
    "a tag and not another": (("--tag", "bug", "--not-tag", "P0"), ["t3"]),
    "a tag and not that tag": (("--tag", "bug", "--not-tag", "bug"), []),
    "combined": (("--state=assigned", "--state=pending", "--tag=bug", "--agent=ada"), ["t1"]),
    "newest first": (("--reverse",), ["t4", "t3", "t2", "t1"]),
    "last changed": (("--sort", "updated"), ["t3", "t4", "t2", "t1"]),
    "last changed, newest first": (("--sort", "updated", "--reverse", "--limit", "2"), ["t1", "t2"]),
    "state": (("--sort", "state"), ["t3", "t1", "t4", "t2"]),
    "agent": (("--sort", "agent"), ["t1", "t4", "t2", "t3"]),
    "words": (("--search", "LOGIN"), ["t1", "t3"]),
    "words of a note and of a title": (("--search", "half fix"), ["t1"]),
    "words and filters, in another order": (("--search=login", "--tag=bug", "--sort=state", "--reverse"), ["t1", "t3"]),
    "words, and a filter that leaves one": (("--search", "login", "--state", "pending"), ["t3"]),
    "words, from the second": (("--search", "login", "--offset", "1", "--limit", "1"), ["t3"]),
    "words that no task has": (("--search", "login docs"), []),
    "agent, reversed, from the second": (("--sort=agent", "--reverse", "--offset=1"), ["t2", "t4", "t1"]),
}


@pytest.mark.parametrize("case", CASES)
def test_list_has_what_help_says(tt: Tt, tasks: Path, case: str) -> None:
    """Now, and on the board of an earlier moment, which later changes do not touch."""
    assert tasks.is_dir()
    words, expected = CASES[case]
    assert aliases(tt, *words) == expected
    last = str(tt("events", "--json").json["events"][-1]["number"])
    for task in ("t1", "t2", "t3", "t4"):
        tt("task", "tag", task, "--add", "later", "--remove", "bug")
        tt("task", "cancel", task)
    assert aliases(tt, "--at", last, *words) == expected


def test_fields_are_picked_in_every_answer_with_tasks(tt: Tt, tasks: Path) -> None:
    """The tasks have the fields in the order they were named, and what is beside the tasks stays."""
    assert tasks.is_dir()
    whole = tt("task", "list", "--json").json
    picked = tt("task", "list", "--json=state, id,state,damaged_at").json
    assert [list(task) for task in picked["tasks"]] == [["state", "id", "damaged_at"]] * 4
    assert [task["id"] for task in picked["tasks"]] == [task["id"] for task in whole["tasks"]]
    assert picked["tasks"][0]["damaged_at"] is None
    assert {**whole, "tasks": []} == {**picked, "tasks": []}
    one = {"alias": "t1", "tags": ["P0", "bug"]}
    fields = "--json=alias,tags"
    assert tt("task", "show", "t1", fields).json["task"] == one
    assert tt("task", "show", fields, "t1", "--at", "3").json["task"] == one
    assert tt("tasks", fields).json["agents"][0]["tasks"][1] == one
    assert tt("task", "tree", "t1", fields).json["tasks"][0]["task"] == one
    assert tt("task", "current", "ada", fields).json["task"] == one
    assert tt("replay", "--at", "9", fields).json["tasks"][0] == one
    assert tt("wait", "t1", "--timeout", "0", fields).json["tasks"][0]["task"] == one
    assert tt("backlog", "list", "--json=alias").json["tasks"] == [{"alias": "t3"}]
    assert tt("task", "start", "t1", "--json=state").json["task"] == {"state": "running"}
    assert tt("backlog", "assign-all", "eve", "--json=assigned_to").json["tasks"] == [{"assigned_to": "eve"}]


def test_list_of_words_pages_and_has_parents(tt: Tt, tasks: Path) -> None:
    """As any list: it says how many there are, filters by a parent that has an alias, and refuses what is no word."""
    assert tasks.is_dir()
    tt("task", "move", "t3", "t2")
    assert aliases(tt, "--search", "login", "--parent", "t2") == ["t3"]
    ran = tt("task", "list", "--search", "login", "--limit", "1", "--csv")
    assert (ran.out.count("\n"), ran.err) == (2, "1 of 2 tasks shown. More: --offset 1\n")
    assert tt("task", "list", "--search", "zebra").out == "No task matches.\n"
    ran = tt("task", "list", "--search", "!?")
    assert (ran.code, ran.out) == (1, "")
    assert "no letter or digit. Give at least one word" in ran.err


@pytest.mark.parametrize("words", [("--json=titel",), ("--json=",), ("--json=id,",), ("--json=id,\x1b[31m",)])
def test_unknown_field_is_refused_with_those_there_are(tt: Tt, tasks: Path, words: tuple[str, ...]) -> None:
    """A mistake of the command line; nothing is done, and nothing reaches the terminal raw."""
    assert tasks.is_dir()
    for command in (("task", "list"), ("task", "start", "t3", "--agent", "ada")):
        ran = tt(*command, *words)
        assert (ran.code, ran.out) == (2, "")
        assert "\x1b" not in ran.err
        said = "".join(ran.err.replace("│", "").split())
        assert all(name in said for name in FIELD_NAMES)
    assert tt("task", "show", "t3", "--json=state").json["task"]["state"] == "pending"


def test_fields_behind_a_blank_are_told_how_they_are_written(tt: Tt, tasks: Path) -> None:
    """As gh's users type them."""
    assert tasks.is_dir()
    ran = tt("task", "list", "--json", "id,state")
    assert ran.code == 2
    assert "Fields stand behind an equals sign: --json=id,state" in ran.err


def test_csv_has_a_column_for_each_field(tt: Tt, tasks: Path) -> None:
    """A head, a line for each task, and no cell that a spreadsheet takes for a formula; also without a task."""
    assert tasks.is_dir()
    for command, expected, said in (
        (("task", "list"), ["t1", "t2", "t3", "t4"], ""),
        (("tasks",), ["t4", "t1", "t3"], ""),
        (("backlog", "list"), ["t3"], ""),
        (("task", "list", "--tag", "nobody has it"), [], "No task has the tag nobody has it.\n"),
    ):
        ran = tt(*command, "--csv")
        head, *rows = csv.reader(io.StringIO(ran.out))
        assert (ran.code, ran.err, tuple(head)) == (0, said, FIELD_NAMES)
        found = [dict(zip(head, row, strict=True)) for row in rows]
        assert [row["alias"] for row in found] == expected
        whole = {task["alias"]: task for task in tt("task", "list", "--json").json["tasks"]}
        for row in found:
            task = whole[row["alias"]]
            assert row["tags"] == ", ".join(task["tags"])
            assert row["description"] == task["description"].replace("=", "'=")
            assert (row["created_at"], row["version"]) == (task["created_at"], str(task["version"]))
            assert row["result"] == (task["result"] or "")


def test_csv_says_what_it_leaves_out_and_which_moment_it_shows(tt: Tt, tasks: Path) -> None:
    """On stderr: stdout is the table alone."""
    assert tasks.is_dir()
    ran = tt("task", "list", "--csv", "--limit", "1")
    assert ran.err == "1 of 4 tasks shown. More: --offset 1\n"
    assert tt("task", "list", "--csv", "--offset", "9").err == "4 tasks in all, none after the first 9.\n"
    ran = tt("tasks", "--csv", "--limit", "1")
    assert ran.err == "2 of 3 tasks shown. All: --all\n"
    ran = tt("task", "list", "--csv", "--at", "2")
    assert ran.err.startswith("As it was after event 2, ")
    assert ran.out.count("\n") == 2


@pytest.mark.parametrize("command", [("task", "list"), ("tasks",), ("backlog", "list")])
def test_csv_and_json_do_not_go_together(tt: Tt, tasks: Path, command: tuple[str, ...]) -> None:
    """One of the two would win."""
    assert tasks.is_dir()
    ran = tt(*command, "--csv", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "Give either --json or --csv." in ran.err
