"""What an issue of Beads 1.x says, and where it lands: every field becomes something, or is named with its count."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ledger import LINKS_MAX, TEXT_BYTES_MAX, TIME_MS_MAX, DesiredTask, LinkKind, Schedule, State, to_ms
from tests.unit.town.test_beads import ACTOR, TOWN, an_issue, below, file, read_lines, read_one, refused, task_of
from town import ImportRefusedError
from town.errors import PROBLEMS_SHOWN_MAX
from town.imports.beads import BeadsExport, read_beads

__all__ = ["file"]
HAND_MADE = Path(__file__).parents[2] / "acceptance" / "data" / "beads-1.x.jsonl"
LANDS = frozenset(
    {"id", "title", "description", "design", "acceptance_criteria", "notes", "status", "priority", "issue_type"}
    | {"labels", "due_at", "defer_until", "dependencies", "comments"}
)
"""The fields that become something wherever they are."""
WORKED_OUT = frozenset({"_type", "dependency_count", "dependent_count", "comment_count", "parent"})


@pytest.fixture(scope="module")
def hand_made() -> BeadsExport:
    return read_beads(HAND_MADE, town=TOWN, actor=ACTOR)


def wanted(export: BeadsExport, alias: str) -> DesiredTask:
    target = export.desired[task_of(alias)]
    assert target is not None
    return target


def ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(text))


def test_every_field_of_a_hand_made_file_lands_or_is_named(hand_made: BeadsExport) -> None:
    """The file has each field of the published list, and one of tomorrow's; none is passed over."""
    said = {
        name
        for line in HAND_MADE.read_text().splitlines()
        if (issue := json.loads(line)).get("_type") == "issue" and issue["status"] != "tombstone"
        for name, value in issue.items()
        if value
    }
    named = {name for name in hand_made.no_place if not name.startswith(("dependencies", "comments"))}
    assert said - LANDS - WORKED_OUT - named == set()
    assert not named & LANDS
    assert named <= said
    assert "of_tomorrow" in named


def test_what_has_no_place_is_counted(hand_made: BeadsExport) -> None:
    """An agent or a close reason counts where it became nothing; a tombstone's fields do not count."""
    counts = hand_made.no_place
    assert counts["assignee"] == 1, "web-3 is deferred, so nobody has it"
    assert counts["created_by"] == 1, "web-1 is ada's; ben made it"
    assert counts["close_reason"] == 1, "web-4 is open"
    assert counts["external_ref"] == 1
    assert (counts["dependencies.metadata"], counts["dependencies.thread_id"], counts["comments.id"]) == (1, 1, 2)
    assert (counts["dependencies of type supersedes"], counts["dependencies of type conditional-blocks"]) == (1, 1)


def test_texts_become_the_body_below_their_headings(hand_made: BeadsExport) -> None:
    """The title stays the first line, so that lists show it."""
    assert wanted(hand_made, "web-1").description == (
        "Build the login\n\nPeople cannot log in.\n\nDesign:\nA session of 12 hours.\n\n"
        "Acceptance criteria:\nA person logs in and out.\n\nNotes:\nAsk ben about tokens."
    )
    assert wanted(hand_made, "web-2").description == "Choose a library"


def test_priority_and_times_become_fields(hand_made: BeadsExport) -> None:
    """No tag says them again."""
    target = wanted(hand_made, "web-1")
    assert target.priority == 0
    assert target.schedule == Schedule(ms("2026-12-24T11:00:00+00:00"), ms("2026-01-06T00:00:00+00:00"))
    assert target.tags == ("backend", "type:feature")
    assert wanted(hand_made, "web-2").schedule == Schedule()


def test_dependencies_become_links_by_kind(hand_made: BeadsExport) -> None:
    """Also to issues that come later in the file; a parent is no link."""
    target = wanted(hand_made, "web-1")
    assert {kind: set(to) for kind, to in target.links.items()} == {
        LinkKind.NEEDS: {task_of("web-2"), task_of("web-3")},
        LinkKind.RELATES: {task_of("web-3"), task_of("web-4")},
        LinkKind.DUPLICATES: {task_of("web-4")},
        LinkKind.DISCOVERED_FROM: {task_of("web-3")},
    }
    assert target.parent_id == task_of("web-5")
    assert hand_made.links_left_out == ()


def test_comments_become_notes_with_author_and_time(hand_made: BeadsExport) -> None:
    """In their order. One without author or time says neither."""
    first, second = hand_made.notes[task_of("web-1")]
    assert first.text == "Comment by ben, 2026-01-06T10:00:00.000Z: Looks good."
    assert first.at_ms == ms("2026-01-06T10:00:00+00:00")
    assert (second.text, second.at_ms) == ("Comment: Merged.", None)


def test_links_to_what_is_not_there_are_named(file: Path) -> None:
    """A missing issue, a tombstone, and the issue itself."""
    export = read_lines(
        file,
        an_issue("bd-1", dependencies=[below(to, "blocks") for to in ("bd-9", "bd-2", "bd-1")]),
        an_issue("bd-2", status="tombstone"),
    )
    assert wanted(export, "bd-1").links[LinkKind.NEEDS] == ()
    assert export.links_left_out == (
        "bd-1: it needs bd-2, which does not exist",
        "bd-1: it needs bd-9, which does not exist",
        "bd-1: it needs itself",
    )


def test_every_need_on_a_circle_is_left_out_and_named(file: Path) -> None:
    """Also one through a parent; what only leads to a circle stays."""
    export = read_lines(
        file,
        an_issue("a", dependencies=[below("b", "blocks")]),
        an_issue("b", dependencies=[below("a", "blocks")]),
        an_issue("tail", dependencies=[below("a", "blocks")]),
        an_issue("epic", dependencies=[below("kid", "blocks")]),
        an_issue("kid", dependencies=[below("epic")]),
    )
    kept = {alias: wanted(export, alias).links[LinkKind.NEEDS] for alias in ("a", "b", "tail", "epic", "kid")}
    assert kept == {"a": (), "b": (), "tail": (task_of("a"),), "epic": (), "kid": ()}
    assert export.links_left_out == (
        "a: it needs b, which waits for it, in a circle",
        "b: it needs a, which waits for it, in a circle",
        "epic: it needs kid, which waits for it, in a circle",
    )


def test_second_parent_has_no_place(file: Path) -> None:
    """A task has one parent; the other one is counted."""
    export = read_lines(
        file, an_issue("bd-1", dependencies=[below("bd-2"), below("bd-3")]), an_issue("bd-2"), an_issue("bd-3")
    )
    assert export.no_place["dependencies of type parent-child"] == 1


def test_text_that_is_too_long_is_cut_and_named(file: Path) -> None:
    """A task keeps 64 KiB; what is cut off ends with a line that says so, and splits no character."""
    export = read_lines(file, an_issue(description="ö" * TEXT_BYTES_MAX, comments=[{"text": "x" * 70_000}]))
    target = wanted(export, "bd-1")
    assert TEXT_BYTES_MAX - 1 <= len(target.description.encode()) <= TEXT_BYTES_MAX
    assert target.description.endswith("ö\n[cut: the export has 131,086 bytes]")
    assert export.texts_cut == (
        "bd-1: comment 1 has 70,009 bytes, and 65,536 are kept",
        "bd-1: its text has 131,086 bytes, and 65,536 are kept",
    )
    assert len(export.notes[task_of("bd-1")][0].text) == TEXT_BYTES_MAX


@pytest.mark.parametrize("time", ["2026-12-24", "2026-12-24T12:00:00", "tomorrow", 5])
def test_time_without_a_zone_is_a_bad_line(file: Path, time: object) -> None:
    """Nobody can say which moment it is."""
    assert len(refused(file, an_issue(due_at=time))) == 1
    assert len(refused(file, an_issue(comments=[{"text": "x", "created_at": time}]))) == 1


def test_time_of_the_year_one_is_none(file: Path) -> None:
    """That is how the tracker's language writes a time that was not given."""
    target = read_one(file, due_at="0001-01-01T00:00:00Z")
    assert target is not None
    assert target.schedule == Schedule()


@pytest.mark.parametrize("priority", [-1, 5])
def test_priority_beyond_the_range_is_a_bad_line(file: Path, priority: int) -> None:
    """The report names it."""
    assert f"priority is {priority}" in refused(file, an_issue(priority=priority))[0]


def test_issue_without_priority_says_nothing_of_it(file: Path) -> None:
    """Its task keeps the one that it has."""
    target = read_one(file)
    assert target is not None
    assert target.priority is None


def test_too_many_dependencies_are_a_bad_line(file: Path) -> None:
    """The limit of links is said."""
    links = [below(f"bd-{number}", "related") for number in range(LINKS_MAX + 1)]
    assert "1,000 links" in refused(file, an_issue(dependencies=links))[0]


# --- statuses of one's own -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "agent", "result"),
    [
        (State.PENDING, None, None),
        (State.RUNNING, "ada", None),
        (State.FAILED, "ada", "Broken"),
        (State.CANCELLED, "ada", "Broken"),
    ],
)
def test_status_of_ones_own_means_what_is_said(file: Path, state: State, agent: str | None, result: str | None) -> None:
    """And its name stays as a tag."""
    file.write_text(json.dumps(an_issue(status="verify", assignee="ada", close_reason="Broken")))
    export = read_beads(file, town=TOWN, actor=ACTOR, statuses={"verify": state})
    target = wanted(export, "bd-1")
    assert (target.state, target.agent, target.result, target.tags) == (state, agent, result, ("status:verify",))


def test_unknown_statuses_are_named_all_at_once(file: Path) -> None:
    """Each once, with its count and what to say, beside the other bad lines."""
    problems = refused(
        file,
        an_issue("a", status="verify"),
        an_issue("b", status="on hold"),
        an_issue("c", status="verify"),
        "nonsense",
    )
    assert [problem.partition(":")[0] for problem in problems] == ["line 1", "line 2", "line 4"]
    assert "'verify', of 2 issues," in problems[0]
    assert problems[0].endswith("--status verify=STATE")
    assert problems[1].endswith("--status 'on hold'=STATE")


def test_bad_lines_are_left_out_where_they_are_skipped(file: Path) -> None:
    """Each of them with its place in the file, so that it can be set aside; also each one with an unknown status."""
    lines: list[str | dict[str, Any]] = [
        an_issue("a", status="verify"),
        "nonsense",
        an_issue("b"),
        an_issue("c", status="verify"),
    ]
    with pytest.raises(ImportRefusedError):
        read_lines(file, *lines)
    export = read_beads(file, town=TOWN, actor=ACTOR, skips_bad=True)
    assert list(export.aliases.values()) == ["b"]
    content = file.read_bytes()
    assert [content[bad.start : bad.start + bad.size].decode() for bad in export.bad] == [
        f"{json.dumps(lines[0])}\n",
        "nonsense\n",
        f"{json.dumps(lines[3])}\n",
    ]
    assert all(bad.problem for bad in export.bad)


def test_unknown_statuses_come_first_where_not_all_lines_are_shown(file: Path) -> None:
    """A file with more bad lines than a refusal shows names every unknown status all the same."""
    problems = refused(file, *["nonsense"] * PROBLEMS_SHOWN_MAX, an_issue("a", status="verify"))
    assert len(problems) == PROBLEMS_SHOWN_MAX + 1
    assert "'verify'" in problems[0]
    assert problems[1].startswith("line 1:")


def test_texts_of_nothing_but_blanks_are_none(file: Path) -> None:
    """They were a bad line, an empty tag, or advice that could not be followed: `--status ''=STATE`."""
    blank = an_issue(status="", issue_type="", assignee=" ", created_by="\t", close_reason="  ", parent=" ")
    target = wanted(read_lines(file, blank), "bd-1")
    assert (target.state, target.agent, target.tags, target.parent_id) == (State.PENDING, None, (), None)
    target = wanted(read_lines(file, blank | {"status": "closed"}), "bd-1")
    assert (target.state, target.agent, target.result) == (State.COMPLETED, ACTOR, None)


def test_long_close_reason_is_cut_and_named(file: Path) -> None:
    """As other texts are; it was a bad line."""
    export = read_lines(file, an_issue(status="closed", close_reason="x" * (TEXT_BYTES_MAX + 1)))
    result = wanted(export, "bd-1").result
    assert result is not None
    assert len(result.encode()) <= TEXT_BYTES_MAX
    assert export.texts_cut == (f"bd-1: its close reason has 65,537 bytes, and {TEXT_BYTES_MAX:,} are kept",)


@pytest.mark.parametrize("field", ["due_at", "defer_until"])
def test_time_that_its_zone_puts_outside_the_calendar_is_the_last_one(file: Path, field: str) -> None:
    """It was an error that nobody expected, and no line was named."""
    schedule = wanted(read_lines(file, an_issue(**{field: "9999-12-31T23:59:59-12:00"})), "bd-1").schedule
    assert schedule is not None
    assert {schedule.due_ms, schedule.not_before_ms} == {None, TIME_MS_MAX}
