"""Titles: wherever a task stands among others, the first line of its description stands for it; `show` has the whole."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.support.tt import Tt

TEXT = "\n  Fix the login \n\n# Why\n\n- [ ] it fails\n      code\n# not a comment"
TITLE = "Fix the login"

LISTS = {
    "task list": ["task", "list"],
    "task tree": ["task", "tree"],
    "tasks": ["tasks"],
    "backlog": ["backlog", "list"],
    "log": ["log"],
    "events": ["events"],
    "replay": ["replay", "--at", "2"],
    "ready": ["ready"],
}


@pytest.fixture
def task(tt: Tt, town: Path) -> str:
    assert town.is_dir()
    assert tt("task", "create", "Before").code == 0
    assert tt("task", "create", TEXT, "--alias", "login").code == 0
    return "login"


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("words", LISTS.values(), ids=LISTS)
def test_lists_show_the_title_alone(tt: Tt, words: list[str]) -> None:
    """Nothing of the body, and no sign of a line break."""
    ran = tt(*words)
    assert ran.code == 0, ran.err
    assert TITLE in ran.out
    assert "it fails" not in ran.out
    assert "⏎" not in ran.out


def test_receipt_shows_the_title_alone(tt: Tt, task: str) -> None:
    """Of whatever is done with the task."""
    assert tt("task", "assign", task, "ada").out.endswith(f": {TITLE}\n")


def test_show_has_the_whole_text(tt: Tt, task: str) -> None:
    """From the first line that has something on it, each line as it was written."""
    lines = tt("task", "show", task).out.splitlines()
    label = next(index for index, line in enumerate(lines) if line.startswith("Description"))
    indent = len("Description  ")
    shown = [line[indent:] for line in lines[label : label + 7]]
    assert [line.rstrip() for line in shown] == [line.rstrip() for line in TEXT.split("\n")[1:]]
    assert sum("it fails" in line for line in lines) == 1


def test_diff_shows_the_body_of_a_new_task(tt: Tt, task: str) -> None:
    """Its line has the title alone, so the description stands below; that of a task without a body does not."""
    tt("task", "create", "Short", "--alias", "short")
    _, _, heading, description, *others = tt("diff", "1").out.splitlines()
    assert heading == f"+ {task}  {TITLE}"
    assert description.startswith("    description")
    assert "it fails" in description
    assert [line for line in others if "Short" in line] == ["+ short  Short"]


def test_events_of_a_removed_task_show_its_last_title(tt: Tt, task: str) -> None:
    """As they do of others."""
    tt("task", "remove", task)
    said = tt("log").out
    assert TITLE in said
    assert "it fails" not in said


def test_json_has_title_and_description(tt: Tt, task: str) -> None:
    """In lists, in `show` and where fields are named; the description stays whole."""
    listed = tt("task", "list", "--json").json["tasks"][-1]
    shown = tt("task", "show", task, "--json").json["task"]
    assert listed == shown
    assert (shown["title"], shown["description"]) == (TITLE, TEXT)
    assert tt("task", "list", "--json=alias,title,due").json["tasks"][-1] == {
        "alias": "login",
        "title": TITLE,
        "due": None,
    }


@pytest.mark.usefixtures("task")
def test_csv_has_title_and_description(tt: Tt) -> None:
    """A column each."""
    row = list(csv.DictReader(io.StringIO(tt("task", "list", "--csv").out.removeprefix("\ufeff"), newline="")))[-1]
    assert row["title"] == TITLE
    assert row["description"].strip().startswith(TITLE)
    assert "it fails" in row["description"]


@pytest.mark.parametrize(
    ("command", "said"),
    [("log", f"{TITLE} — with 2 more lines"), ("events", f"{TITLE}  described: with 2 more lines")],
)
def test_change_below_the_title_is_told(tt: Tt, task: str, command: str, said: str) -> None:
    """It looked as if the description had become what it was."""
    assert tt("task", "edit", task, f"{TITLE}\n\nIt fails on Mondays.").code == 0
    [line] = [line for line in tt(command).out.splitlines() if "described" in line]
    assert line.endswith(said)
