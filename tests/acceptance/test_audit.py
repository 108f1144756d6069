"""`tt diff`, `tt blame` and `tt why`: what a person reads, what a program reads, and what fits a narrow terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.terminal import each_on_terminal
from tests.support.tt import Tt

TEXT = "Write the release notes\nfor version two\nand send them"
NEW_TEXT = "Write the release notes\nfor version three\nand send them to all"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
COMMANDS = [["diff", "3"], ["diff", "14", "3"], ["blame", "notes"], ["why", "login"]]


@pytest.fixture
def lived(tt: Tt, town: Path) -> Path:
    """A town of 14 events: a task that was handed over, completed and reopened, and one that was described anew."""
    for words in (
        ["task", "create", "Implement user authentication", "--alias", "login", "--agent", "ada", "--tag", "P0"],
        ["task", "create", TEXT, "--alias", "notes"],
        ["task", "start", "login", "--actor", "ada"],
        ["task", "assign", "login", "bob", "--reason", "ada is ill"],
        ["task", "complete", "login", "--result", "Merged", "--actor", "bob"],
        ["task", "reopen", "login", "--reason", "tests fail"],
        ["task", "edit", "notes", NEW_TEXT],
        ["task", "tag", "notes", "--add", "docs"],
        ["task", "note", "notes", "half way"],
        ["task", "create", "Gone soon", "--alias", "gone"],
        ["task", "remove", "gone"],
        ["task", "create", "Stays", "--alias", "stays"],
    ):
        ran = tt(*words)
        assert ran.code == 0, ran.err
    return town


def lines(text: str) -> list[str]:
    """Without what differs each time."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", re.sub(TIME, "TIME", text)).splitlines()


@pytest.mark.usefixtures("lived")
def test_diff_shows_each_field_before_and_after(tt: Tt) -> None:
    """The states on the way, texts as a word diff, and a summary at the end."""
    assert lines(tt("diff", "3").out) == [
        "From event 3, TIME to now (event 14): 11 events.",
        "",
        "~ login  Implement user authentication",
        "    state        assigned → running → assigned → running → completed → pending",
        "    assigned_to  ada → —",
        "",
        "~ notes  Write the release notes",
        "    description  Write the release notes ⏎ for version [-two-]{+three+} ⏎ and send them{+ to all+}",
        "    tags         +docs",
        "",
        "+ stays  Stays",
        "",
        "3 tasks: 1 created, 2 changed (1 now pending); 1 came and went",
    ]


@pytest.mark.usefixtures("lived")
def test_diff_tells_what_has_changed_and_changed_back(tt: Tt) -> None:
    """A task that is as it was, and what it went through; one that was noted something only; none at all."""
    assert "    state        assigned → running → assigned → running → completed → pending" in lines(
        tt("diff", "2", "9", "--task", "login").out
    )
    assert "    1 event, and no field is different" in lines(tt("diff", "10", "--task", "notes").out)
    assert lines(tt("diff", "11", "13").out)[-1] == "No task is different; 1 came and went."
    assert lines(tt("diff", "11", "13", "--tag", "none").out)[-1] == "No task is different."
    assert lines(tt("diff", "13", "14").out)[-1] == "1 task: 1 created"
    assert lines(tt("diff", "14", "13").out)[-3:] == ["    state        pending → —", "", "1 task: 1 removed"]


@pytest.mark.usefixtures("lived")
def test_diff_shows_a_page_and_says_so(tt: Tt) -> None:
    """How many there are, and how to go on; JSON has all of them."""
    ran = tt("diff", "3", "--limit", "1")
    assert "~ notes" not in ran.out
    assert ran.err == "1 of 3 tasks shown. More: --offset 1\n"
    assert "~ notes" in tt("diff", "3", "--limit", "1", "--offset", "1").out
    ran = tt("diff", "3", "--offset", "3")
    assert ran.err == "There are only 3 tasks, so --offset 3 shows none.\n"
    shown = tt("diff", "3", "--limit", "1", "--json").json
    assert (shown["total"], len(shown["tasks"])) == (3, 3)
    assert (shown["created"], shown["changed"], shown["removed"], shown["passing"]) == (1, 2, 0, 1)
    assert (shown["from"]["number"], shown["to"]["number"], shown["events"]) == (3, 14, 11)


@pytest.mark.usefixtures("lived")
def test_diff_of_what_is_no_moment_is_refused(tt: Tt) -> None:
    """As everywhere else that takes one."""
    assert tt("diff", "99").code == 1
    assert tt("diff", "once").code == 2
    assert tt("diff").code == 2


@pytest.mark.usefixtures("lived")
def test_blame_shows_each_line_and_tag_below_its_value(tt: Tt) -> None:
    """The event, its time, its actor and why; what every event changes stands once, at the end."""
    assert lines(tt("blame", "notes").out) == [
        "notes  Write the release notes",
        "Task ID",
        "description   Write the release notes",
        "              event 3, TIME, created by tester",
        "              for version three",
        "              and send them to all",
        "              event 9, TIME, described by tester",
        "state         ⏳ pending",
        "              event 3, TIME, created by tester",
        "created_at    TIME",
        "              event 3, TIME, created by tester",
        "tags          docs",
        "              event 10, TIME, tagged by tester",
        "alias         notes",
        "              event 3, TIME, created by tester",
        "Version 4, by event 11, TIME, noted by tester",
    ]
    assert "event 8, TIME, reopened by tester: tests fail" in " ".join(lines(tt("blame", "login").out))


@pytest.mark.usefixtures("lived")
def test_blame_for_programs_names_each_event_once(tt: Tt) -> None:
    """Fields and parts have positions, and the events stand beside them; a moment of the past is named."""
    shown = tt("blame", "notes", "--at", "9", "--json").json
    assert shown["number"] == 9
    by_position = {event["position"]: event["number"] for event in shown["events"]}
    [described] = [field for field in shown["fields"] if field["field"] == "description"]
    assert described["value"] == NEW_TEXT
    assert [by_position[part["position"]] for part in described["parts"]] == [3, 9, 9]
    assert sorted(by_position.values()) == [3, 9]


@pytest.mark.usefixtures("lived")
def test_blame_of_a_removed_task_says_where_to_look(tt: Tt) -> None:
    """With the event that removed it."""
    ran = tt("blame", "gone")
    assert (ran.code, ran.out) == (1, "")
    assert "Event 13 removed it, by tester. At event 12 it was there." in ran.err
    assert tt("blame", "gone", "--at", "12").code == 0


@pytest.mark.usefixtures("lived")
def test_why_tells_the_chain_in_sentences(tt: Tt) -> None:
    """The last event first, with the reasons and results that were given."""
    assert lines(tt("why", "login").out) == [
        "login  Implement user authentication",
        "⏳ It has been pending since TIME.",
        "",
        "8  TIME  tester opened it again; it was completed. Reason: tests fail",
        "7  TIME  bob completed it. Result: Merged",
        "6  TIME  bob began to work on it.",
        "5  TIME  tester handed it over from ada, who was working on it, to bob. Reason: ada is ill",
        "4  TIME  ada began to work on it.",
        "2  TIME  tester gave it to ada.",
        "1  TIME  tester created it.",
    ]
    assert lines(tt("why", "gone").out) == [
        "gone  Gone soon",
        "It was removed at TIME.",
        "",
        "13  TIME  tester removed it; it was pending.",
        "12  TIME  tester created it.",
    ]
    shown = tt("why", "login", "--at", "6", "--json").json
    assert [cause["kind"] for cause in shown["causes"]] == ["created", "given", "started", "handed over", "started"]
    assert (shown["total"], shown["number"], shown["led_by"]) == (5, 6, [])


def test_what_is_shown_fits_the_terminal(lived: Path) -> None:
    """At 80 and at 40 columns no line is longer, and none ends in blanks."""
    for columns in (80, 40):
        environment = {"TERM": "xterm-256color", "COLUMNS": str(columns), "NO_COLOR": "1"}
        for command, shown in zip(COMMANDS, each_on_terminal(COMMANDS, lived, environment), strict=True):
            found = shown.splitlines()
            # The icon of a state takes two columns.
            assert max(len(line) + line.count("⏳") for line in found) <= columns, (command, columns)
            assert found == [line.rstrip() for line in found]


@pytest.mark.usefixtures("lived")
def test_why_says_the_reason_of_a_command_at_its_last_event(tt: Tt) -> None:
    """The line that is read first has it. It stood at the start that the failure brought with it."""
    tt("task", "create", "Break it", "--alias", "break", "--agent", "ada", "--actor", "lead")
    assert tt("task", "fail", "break", "--reason", "the disk is full", "--actor", "ada").code == 0
    assert [line.partition("TIME  ")[2] for line in lines(tt("why", "break").out)[3:5]] == [
        "ada failed it. Reason: the disk is full",
        "ada began to work on it.",
    ]


def test_style_of_a_name_ends_with_it(lived: Path) -> None:
    """Names are bold, positions dim, and values and sentences neither. The first line of each was styled whole."""
    why, blame, show = each_on_terminal(
        [["why", "login"], ["blame", "notes"], ["task", "show", "notes"]], lived, {"TERM": "xterm-256color"}
    )
    assert "UTC  \x1b[0mbob began to work on it." in why
    assert "\x1b[1mdescription   \x1b[0mWrite the release notes" in blame
    assert "\x1b[1mDescription  \x1b[0mWrite the release notes" in show


def test_narrow_terminal_has_no_empty_line_before_a_cause(tt: Tt, lived: Path) -> None:
    """What led to an event stands right below it, also where it has to begin on a line of its own."""
    assert tt("undo", "8").code == 0
    [shown] = each_on_terminal([["why", "login"]], lived, {"TERM": "xterm-256color", "COLUMNS": "40", "NO_COLOR": "1"})
    found = shown.splitlines()
    assert any("Event 8 led to it" in line for line in found)
    assert found.count("") == 1


def test_diff_is_coloured_as_gits(lived: Path) -> None:
    """What went is red, what came is green; with NO_COLOR there are marks alone."""
    [shown] = each_on_terminal([["diff", "3"]], lived, {"TERM": "xterm-256color"})
    assert "\x1b[31m[-two-]\x1b[0m\x1b[32m{+three+}\x1b[0m" in shown
    assert "\x1b[32m+ stays  Stays\x1b[0m" in shown
    [plain] = each_on_terminal([["diff", "3"]], lived, {"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "[-two-]{+three+}" in plain
    assert "\x1b" not in plain


def test_long_texts_are_cut_and_say_so(tt: Tt, town: Path) -> None:
    """A text of 64 KiB that is another one: its beginning, and how much more there is; JSON has all of it."""
    assert town.is_dir()
    tt("task", "create", "x" * 60_000, "--alias", "long")
    tt("task", "edit", "long", "y " * 30_000)
    shown = tt("diff", "1").out
    assert "… (59,500 more characters)" in shown
    assert len(shown) < 3_000
    [change] = tt("diff", "1", "--json").json["tasks"][0]["changes"]
    assert (len(change["before"]), len(change["after"])) == (60_000, 60_000)
    assert len(tt("why", "long").out) < 1_000
