"""`tt log` as an auditor uses it: what happened, to which task, by whom and why."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import pytest

from ledger import Keys
from tests.support.terminal import on_terminal
from tests.support.tt import Tt
from town import Town

SCREEN = {"TERM": "xterm", "NO_COLOR": "1"}


@pytest.fixture
def story(tt: Tt, town: Path) -> Path:
    """Ten events of three tasks by three people; the third task is removed in the end."""
    tt("task", "create", "Plan the release\nIn two lines", "--alias", "plan", "--actor", "lead")
    tt("task", "create", "Write it", "--alias", "write", "--parent", "plan", "--agent", "ada", "--actor", "lead")
    tt("task", "create", "Old idea", "--alias", "old", "--tag", "docs", "--actor", "lead")
    tt("task", "start", "write", "--actor", "ada")
    tt("task", "assign", "write", "bob", "--reason", "ada is ill", "--actor", "lead")
    tt("task", "complete", "write", "--result", "Merged", "--actor", "bob")
    tt("task", "remove", "old", "--reason", "no longer wanted", "--actor", "lead")
    tt("annotate", "6", "She was", "--actor", "bob")
    return town


def lines(out: str) -> list[list[str]]:
    """The rows of a log without their times: number, actor, what, task, words."""
    rows = [line.split(maxsplit=3) for line in out.splitlines()[1:]]
    return [[number, *rest.split(maxsplit=3)] for number, _, _, rest in rows]


@pytest.mark.usefixtures("story")
def test_log_tells_who_did_what_with_which_task_and_why(tt: Tt) -> None:
    """Newest first; each task by its alias and title, removed ones too, and notes where their event is."""
    assert lines(tt("log").out) == [
        ["10", "bob", "annotated", "event", "6: She was"],
        ["9", "lead", "removed", "old", "Old idea (no longer wanted)"],
        ["8", "bob", "completed", "write", "Write it — Merged"],
        ["7", "bob", "started", "write", "Write it"],
        ["6", "lead", "assigned", "write", "Write it — to bob (ada is ill)  ✎ bob: She was"],
        ["5", "ada", "started", "write", "Write it"],
        ["4", "lead", "created", "old", "Old idea"],
        ["3", "lead", "assigned", "write", "Write it — to ada"],
        ["2", "lead", "created", "write", "Write it"],
        ["1", "lead", "created", "plan", "Plan the release"],
    ]


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--actor", "ada"], [5]),
        (["--agent", "ada"], [6, 5, 3]),
        (["--agent", "bob"], [8, 7, 6]),
        (["--agent", "bob", "--actor", "lead"], [6]),
        (["--tag", "docs"], []),
        (["--task", "old"], [9, 4]),
        (["--below", "plan"], [8, 7, 6, 5, 3, 2, 1]),
        (["--below", "plan", "--task", "write", "--type", "started"], [7, 5]),
        (["--type", "task.created"], [4, 2, 1]),
        (["--text", "ADA"], [6, 3]),
        (["--text", "MERGED"], [8]),
        (["--text", "she"], [10]),
        (["--since", "8"], [10, 9, 8]),
        (["--since", "3", "--until", "4"], [4, 3]),
        (["--before", "3"], [2, 1]),
        (["--before", "@write:completed", "--count", "2"], [7, 6]),
        (["--actor", "nobody"], []),
    ],
    ids=str,
)
def test_filters_combine(tt: Tt, options: list[str], expected: list[int]) -> None:
    """Each by itself, and several at once."""
    assert [each["number"] for each in tt("log", *options, "--json").json["events"]] == expected
    shown = tt("log", *options).out
    assert [int(row[0]) for row in lines(shown)] == expected if expected else shown == "No event matches.\n"


def test_tag_is_the_one_of_now(tt: Tt, story: Path) -> None:
    """A task that has the tag now shows all its events, also those of before."""
    assert story.is_dir()
    tt("task", "tag", "write", "--add", "late")
    assert [row[0] for row in lines(tt("log", "--tag", "late").out)] == ["11", "8", "7", "6", "5", "3", "2"]


@pytest.mark.usefixtures("story")
def test_pages_lead_through_the_whole_log(tt: Tt) -> None:
    """JSON and stderr say how to go on, until there is nothing left."""
    numbers: list[int] = []
    options: list[str] = []
    while True:
        ran = tt("log", "--count", "4", "--json", *options)
        numbers += [each["number"] for each in ran.json["events"]]
        assert ran.json["has_more"] == (ran.json["next"] is not None) == ("More: --before" in ran.err)
        if not ran.json["has_more"]:
            break
        options = ["--before", ran.json["next"]["before"]]
    assert numbers == list(range(10, 0, -1))
    assert tt("log", "--count", "4").err == "4 events shown; there are older ones. More: --before 7\n"


@pytest.mark.usefixtures("story")
def test_groups_have_a_heading_and_leave_out_what_their_events_share(tt: Tt) -> None:
    """By task: the title is the heading. By actor: the name. By day: the day, and the lines have only times."""
    by_task = tt("log", "--by", "task", "--agent", "bob").out.splitlines()
    assert by_task[0] == "write  Write it  3"
    assert by_task[1].split() == ["EVENT", "TIME", "(UTC)", "ACTOR", "WHAT", "TITLE"]
    assert [line.split()[0] for line in by_task[2:]] == ["8", "7", "6"]
    headings = [
        line for line in tt("log", "--by", "actor").out.splitlines() if line and "  " in line and line[0].isalpha()
    ]
    assert [line for line in headings if not line.startswith("EVENT")] == ["bob  3", "lead  6", "ada  1"]
    day, head, first, *_ = tt("log", "--by", "day").out.splitlines()
    assert day.endswith("  10")
    assert head.split()[:3] == ["EVENT", "TIME", "(UTC)"]
    assert day.partition("  ")[0] not in first


@pytest.mark.usefixtures("story")
def test_stat_counts_what_matches(tt: Tt) -> None:
    """Of each type, or in each group; JSON has every count."""
    shown = tt("log", "--stat", "--type", "started").out.splitlines()
    assert shown == ["2 events of 1 task", "", "TYPE          EVENTS  TASKS", "task.started  2       1"]
    ran = tt("log", "--stat", "--by", "actor", "--json", "--count", "1").json
    assert (ran["by"], ran["events"], ran["tasks"], ran["total"]) == ("actor", 10, 3, 3)
    assert [(each["actor"], each["events"], each["created"], each["completed"]) for each in ran["groups"]] == [
        ("lead", 6, 3, 0),
        ("bob", 3, 0, 1),
        ("ada", 1, 0, 0),
    ]
    limited = tt("log", "--stat", "--by", "task", "--count", "1")
    assert limited.out.splitlines()[-1].endswith("write  Write it")
    assert limited.err == "1 of 4 groups shown. More: --count 10\n"


@pytest.mark.usefixtures("story")
def test_csv_has_a_line_for_each_event_or_count(tt: Tt) -> None:
    """With the title, and the notes on the event; stderr says if there are more."""
    ran = tt("log", "--csv", "--count", "5")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["number"] for row in rows] == ["10", "9", "8", "7", "6"]
    assert "More: --before 6" in ran.err
    last = rows[-1]
    assert (last["alias"], last["title"], last["details"], last["reason"]) == (
        "write",
        "Write it",
        "to bob",
        "ada is ill",
    )
    assert (last["notes"], last["type"], last["flaw"]) == ("bob: She was", "task.assigned", "")
    counts = list(csv.DictReader(io.StringIO(tt("log", "--stat", "--by", "task", "--csv", "--count", "1").out)))
    assert (counts[0]["title"], counts[0]["events"]) == ("Write it", "6")
    assert len(counts) == 4
    assert tt("log", "--csv", "--json").code == 2


def test_title_is_the_one_of_now(tt: Tt, story: Path) -> None:
    """Also where the snapshot is lost or behind; what an event said is shown where the title no longer says it."""
    tt("task", "edit", "plan", "Plan it all")
    assert lines(tt("log", "--task", "plan", "--type", "created").out) == [
        ["1", "lead", "created", "plan", "Plan it all — Plan the release"]
    ]
    with Town.open(story) as town:
        [recorded] = town.events.last(count=1)
        town.backend.client.delete(Keys(town.name).task(recorded.task))
    assert "plan  Plan it all" in tt("log", "--count", "1").out
    assert tt("events", "--count", "1", "--json").json["events"][0]["title"] == "Plan it all"


@pytest.mark.parametrize("columns", [80, 40])
def test_log_fits_the_terminal(story: Path, tt: Tt, columns: int) -> None:
    """Nothing is lost: what does not fit goes on below."""
    words = " ".join(f"word{number}" for number in range(40))
    tt("task", "note", "write", words)
    shown = on_terminal(["log"], story, {**SCREEN, "COLUMNS": str(columns), "TT_PAGER": "cat"})
    rows = shown.replace("\r", "").splitlines()
    assert max(map(len, rows)) <= columns
    assert words in " ".join(shown.split())


def program(place: Path, body: str) -> str:
    place.write_text(f"#!/bin/sh\n{body}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return str(place)


def test_log_goes_through_the_users_pager_on_a_terminal(story: Path, tmp_path: Path) -> None:
    """$TT_PAGER comes before $PAGER, and may hold a shell's words, as git's may; `cat` and nothing mean no pager."""
    first = program(tmp_path / "first", "echo FIRST; cat; echo END")
    other = program(tmp_path / "other", "echo OTHER; cat")
    chosen = on_terminal(["log"], story, {**SCREEN, "TT_PAGER": f"{first} | sed s/END/LAST/", "PAGER": other})
    assert chosen.startswith("FIRST")
    assert chosen.rstrip().endswith("LAST")
    assert "Plan the release" in chosen
    assert on_terminal(["log"], story, {**SCREEN, "PAGER": other}).startswith("OTHER")
    for environment in (
        {"TT_PAGER": "", "PAGER": other},
        {"TT_PAGER": "cat", "PAGER": other},
        {"PAGER": other, "TERM": "dumb"},
    ):
        assert on_terminal(["log"], story, {**SCREEN, **environment}).startswith("EVENT")
    assert on_terminal(["log", "--no-pager"], story, {**SCREEN, "TT_PAGER": first}).startswith("EVENT")


def test_pager_that_is_not_there_is_named_and_not_missed(story: Path) -> None:
    """The log is shown without it."""
    shown = on_terminal(["log"], story, {**SCREEN, "TT_PAGER": "no-such-pager"})
    assert "There is no pager 'no-such-pager' on PATH" in shown
    assert "Plan the release" in shown


def test_pager_that_ends_early_is_no_error(story: Path, tmp_path: Path) -> None:
    """As with `| head` in a shell: the user has seen enough."""
    assert "FIRST" in on_terminal(["log"], story, {**SCREEN, "TT_PAGER": program(tmp_path / "first", "echo FIRST")})


def test_log_in_a_pipe_has_no_pager(story: Path, tt: Tt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has JSON."""
    assert story.is_dir()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TT_PAGER", program(tmp_path / "pager", "echo PAGER"))
    assert "PAGER" not in tt("log").out + tt("log", "--json").out


def test_what_reaches_the_pager_cannot_command_the_terminal(tt: Tt, town: Path, tmp_path: Path) -> None:
    """A foreign escape sequence is written out before the pager gets it, which shows colours unchanged."""
    tt("task", "create", "red \x1b[31m and \x1b]0;pwned\x07", "--reason", "\u202e")
    seen = tmp_path / "seen"
    on_terminal(["log"], town, {"TERM": "xterm-256color", "TT_PAGER": program(tmp_path / "pager", f"cat > {seen}")})
    text = seen.read_text()
    assert "\\x1b[31m and \\x1b]0;pwned\\x07" in text
    assert "\x1b]" not in text
    assert "\x07" not in text


def test_mistakes_are_said(tt: Tt, town: Path) -> None:
    """With the exit code of each kind, and what to do."""
    assert town.is_dir()
    assert tt("log").out == "No event matches.\n"
    tt("task", "create", "a")
    assert tt("log", "--task", "nothing").code == 1
    assert tt("log", "--type", "nothing").code == 2
    assert tt("log", "--by", "week").code == 2
    assert tt("log", "--before", "99").code == 1
