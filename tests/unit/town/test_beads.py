"""Reading an export of the Beads tracker: the mapping of issue 2, and what is refused."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ledger import DesiredTask, LinkKind, Schedule, Source, State, task_id_of_alias, to_ms
from town import FolderRefusedError, ImportRefusedError
from town.imports.beads import BeadsExport, read_beads

TOWN = "harbour"
ACTOR = "importer"
NO_LINKS: dict[LinkKind, tuple[str, ...]] = dict.fromkeys(LinkKind, ())


def an_issue(id_: str = "bd-1", **fields: Any) -> dict[str, Any]:
    return {"id": id_, "title": "Fix the pump", "status": "open"} | fields


def below(parent: str, kind: str = "parent-child") -> dict[str, str]:
    return {"issue_id": "bd-1", "depends_on_id": parent, "type": kind, "created_at": "2026-01-01T00:00:00Z"}


def task_of(alias: str) -> str:
    return task_id_of_alias(TOWN, alias)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "issues.jsonl"


def read_lines(file: Path, *lines: str | dict[str, Any]) -> BeadsExport:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    file.write_text(text, encoding="utf-8")
    return read_beads(file, town=TOWN, actor=ACTOR)


def read_one(file: Path, **fields: Any) -> DesiredTask | None:
    return read_lines(file, an_issue(**fields)).desired[task_of("bd-1")]


def parents_of(export: BeadsExport) -> dict[str, str | None]:
    """Alias -> alias of the parent, of the tasks that the file wants."""
    names = {task_of(target.alias): target.alias for target in export.desired.values() if target and target.alias}
    assert {task for task, target in export.desired.items() if target} == set(names)
    return {
        str(target.alias): None if target.parent_id is None else names[target.parent_id]
        for target in export.desired.values()
        if target
    }


def refused(file: Path, *lines: str | dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ImportRefusedError) as caught:
        read_lines(file, *lines)
    assert caught.value.path == file
    return caught.value.problems


# --- the mapping -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "assignee", "state", "agent", "tags"),
    [
        ("open", None, State.PENDING, None, ()),
        ("open", "", State.PENDING, None, ()),
        ("open", "bob", State.ASSIGNED, "bob", ()),
        ("hooked", "bob", State.ASSIGNED, "bob", ()),
        ("hooked", None, State.ASSIGNED, "alice", ()),
        ("in_progress", "bob", State.RUNNING, "bob", ()),
        ("in_progress", None, State.RUNNING, "alice", ()),
        ("blocked", "bob", State.PENDING, None, ("status:blocked",)),
        ("blocked", None, State.PENDING, None, ("status:blocked",)),
        ("deferred", "bob", State.PENDING, None, ("status:deferred",)),
        ("pinned", None, State.PENDING, None, ("status:pinned",)),
        ("closed", "bob", State.COMPLETED, "bob", ()),
        ("closed", None, State.COMPLETED, "alice", ()),
    ],
)
def test_status_leads_to_state_agent_and_tag(
    file: Path, status: str, assignee: str | None, state: State, agent: str | None, tags: tuple[str, ...]
) -> None:
    """Each status of the tracker is one state here, with or without a person, and three of them keep their name as a tag."""
    target = read_one(file, status=status, assignee=assignee, created_by="alice")
    assert target is not None
    assert (target.state, target.agent, target.tags) == (state, agent, tags)


@pytest.mark.parametrize(
    ("people", "agent"),
    [
        ({"assignee": "bob", "created_by": "alice"}, "bob"),
        ({"assignee": "", "created_by": "alice"}, "alice"),
        ({"created_by": "alice"}, "alice"),
        ({"assignee": None, "created_by": None}, ACTOR),
        ({"assignee": "", "created_by": ""}, ACTOR),
        ({}, ACTOR),
        ({"assignee": "Ada Lovelace"}, "Ada Lovelace"),
    ],
)
def test_person_is_assignee_else_creator_else_actor(file: Path, people: dict[str, Any], agent: str) -> None:
    """Work that is somebody's and names nobody is of whoever imports it."""
    target = read_one(file, status="in_progress", **people)
    assert target is not None
    assert target.agent == agent


def test_issue_becomes_a_task_with_all_it_says(file: Path) -> None:
    """Alias, title and text, tags from labels and type, priority, times, and the close reason as the result."""
    target = read_one(
        file,
        title="Fix the pump 🔧",
        status="closed",
        assignee="bob",
        close_reason="Replaced",
        labels=["b", "a", "b"],
        issue_type="bug",
        priority=0,
        description="It leaks.",
        due_at="2026-12-24T00:00:00+01:00",
    )
    assert target == DesiredTask(
        source=Source.IMPORT,
        description="Fix the pump 🔧\n\nIt leaks.",
        state=State.COMPLETED,
        agent="bob",
        tags=("a", "b", "type:bug"),
        alias="bd-1",
        result="Replaced",
        priority=0,
        schedule=Schedule(due_ms=to_ms(datetime(2026, 12, 23, 23, tzinfo=UTC))),
        links=NO_LINKS,
    )


@pytest.mark.parametrize(("status", "result"), [("closed", None), ("open", None), ("in_progress", None)])
def test_close_reason_counts_where_there_is_one_and_the_issue_is_closed(
    file: Path, status: str, result: str | None
) -> None:
    """An empty close reason is none, and one that is left over from before a reopening does not count."""
    target = read_one(file, status=status, close_reason="" if status == "closed" else "Old")
    assert target is not None
    assert target.result is result


def test_issue_with_nothing_but_id_and_title_is_pending(file: Path) -> None:
    """Lists that are null or absent are empty."""
    desired = read_lines(
        file, {"id": "bd-1", "title": "x"}, {"id": "bd-2", "title": "x", "labels": None, "dependencies": None}
    ).desired
    for alias in ("bd-1", "bd-2"):
        assert desired[task_of(alias)] == DesiredTask(
            description="x", alias=alias, source=Source.IMPORT, schedule=Schedule(), links=NO_LINKS
        )


def test_tombstone_is_a_task_to_remove(file: Path) -> None:
    """A deleted issue removes its task; children of it have a parent that does not exist."""
    export = read_lines(file, an_issue("bd-1", status="tombstone"), an_issue("bd-2", dependencies=[below("bd-1")]))
    assert export.desired[task_of("bd-1")] is None
    assert parents_of(export) == {"bd-2": None}
    assert export.left_out == ("bd-2: its parent bd-1 does not exist",)


def test_alias_and_task_id_agree_where_an_id_has_spaces(file: Path) -> None:
    """An alias is trimmed, and a task's id is always that of its alias, or nobody finds it by name."""
    export = read_lines(file, an_issue(" bd-1 "))
    assert {task: target and target.alias for task, target in export.desired.items()} == {task_of("bd-1"): "bd-1"}


def test_ids_that_differ_in_spaces_are_one_id_twice(file: Path) -> None:
    """Two issues never share an alias."""
    assert len(refused(file, an_issue("bd-1"), an_issue("bd-1 "))) == 1


# --- parents ---------------------------------------------------------------------------------------------------


def test_parent_is_the_first_parent_child_dependency(file: Path) -> None:
    """Other dependencies are no parents; of several parents the first counts."""
    export = read_lines(
        file,
        an_issue("bd-1", dependencies=[below("bd-2", "blocks"), below("bd-3"), below("bd-2")]),
        an_issue("bd-2", dependencies=[below("bd-3", "related")]),
        an_issue("bd-3", dependencies=[]),
    )
    assert parents_of(export) == {"bd-1": "bd-3", "bd-2": None, "bd-3": None}
    assert export.left_out == ()


def test_missing_parent_is_left_out_and_reported(file: Path) -> None:
    """A parent that does not exist is no parent; a later one does not take its place."""
    export = read_lines(file, an_issue("bd-1", dependencies=[below("bd-9"), below("bd-2")]), an_issue("bd-2"))
    assert parents_of(export) == {"bd-1": None, "bd-2": None}
    assert export.left_out == ("bd-1: its parent bd-9 does not exist",)


CIRCLES: list[tuple[dict[str, str], dict[str, str]]] = [
    # issue -> parent in the file; the links that are kept
    ({"a": "a"}, {}),
    ({"a": "b", "b": "a"}, {}),
    ({"a": "b", "b": "c", "c": "a"}, {}),
    ({"a": "b", "b": "a", "tail": "a"}, {"tail": "a"}),
    ({"a": "b", "b": "c", "c": "a", "tail": "b", "tip": "tail"}, {"tail": "b", "tip": "tail"}),
    ({"a": "a", "tail": "a", "other": "top"}, {"tail": "a", "other": "top"}),
    ({"a": "b", "b": "a", "c": "d", "d": "c", "x": "a", "y": "c", "z": "y"}, {"x": "a", "y": "c", "z": "y"}),
    ({"x": "top", "y": "x", "z": "y"}, {"x": "top", "y": "x", "z": "y"}),
    ({"a": "b", "b": "a", "x": "a", "y": "a", "z": "b"}, {"x": "a", "y": "a", "z": "b"}),
]


def circle_lines(links: dict[str, str]) -> list[dict[str, Any]]:
    names = sorted({*links, *links.values()})
    return [an_issue(name, dependencies=[below(links[name])] if name in links else []) for name in names]


@pytest.mark.parametrize(
    ("links", "kept"), CIRCLES, ids=[",".join(f"{a}-{b}" for a, b in each[0].items()) for each in CIRCLES]
)
def test_every_link_on_a_circle_is_left_out(file: Path, links: dict[str, str], kept: dict[str, str]) -> None:
    """A circle has no beginning, so all of its links go, and each is reported; what hangs on it keeps its link."""
    export = read_lines(file, *circle_lines(links))
    assert {name: parent for name, parent in parents_of(export).items() if parent} == kept
    left_out = sorted(links.keys() - kept.keys())
    assert [line.partition(":")[0] for line in export.left_out] == left_out
    assert all("circle" in line for line in export.left_out)


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_result_does_not_depend_on_the_order_of_lines(file: Path, order: tuple[int, ...]) -> None:
    """The same issues in any order lead to the same desired tasks and the same report."""
    lines = circle_lines({"a": "b", "b": "a", "tail": "b", "lost": "tail"})
    assert len(lines) == 4
    assert read_lines(file, *(lines[index] for index in order)) == read_lines(file, *lines)


# --- what is left out and counted ------------------------------------------------------------------------------


def test_lines_of_other_kinds_are_skipped_and_counted(file: Path) -> None:
    """A present export holds more than issues; it once was refused whole for that."""
    memory = {"_type": "memory", "key": "k", "value": "v"}
    export = read_lines(file, {"_type": "tip", "id": "bd-1"}, memory, an_issue(_type="issue"), memory)
    assert set(export.aliases.values()) == {"bd-1"}
    assert list(export.skipped.items()) == [("memory", 2), ("tip", 1)]


def test_line_without_a_kind_or_with_none_is_an_issue(file: Path) -> None:
    """Older exports name no kind."""
    export = read_lines(file, an_issue("bd-1"), an_issue("bd-2", _type=None))
    assert (len(export.desired), export.skipped) == (2, {})


def test_kind_that_is_no_text_is_a_bad_line(file: Path) -> None:
    """What cannot be said to be of another kind is not passed over."""
    assert "_type" in refused(file, an_issue(_type=5))[0]


def test_labels_are_trimmed_and_empty_ones_dropped_and_counted(file: Path) -> None:
    """Tags have no blanks at their ends, and none is empty; a tombstone's labels do not count."""
    export = read_lines(
        file,
        an_issue("bd-1", labels=[" a", "a", "", "b\t", "  "]),
        an_issue("bd-2", labels=[" c ", ""], status="tombstone"),
    )
    target = export.desired[task_of("bd-1")]
    assert target is not None
    assert target.tags == ("a", "b")
    assert (export.labels_trimmed, export.labels_dropped) == (2, 2)


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "malformed"),
        ('{"id":"bd-2"', "truncated"),
        ("[]", "object"),
        ({"title": "x"}, "`id`"),
        ({"id": "bd-2"}, "`title`"),
        (an_issue("bd-2", title=5), "title"),
        (an_issue("bd-2", status="someday"), "someday"),
        (an_issue("bd-2", status="Open"), "Open"),
        (an_issue("bd-2", title=" "), "title is empty"),
        (an_issue("bd-2", title="x" * 65_537), "65,537 bytes"),
        (an_issue("bd-2", labels=["x" * 65]), "tag has 65"),
        (an_issue("bd-2", labels=["a\nb"]), "U+000A"),
        (an_issue("bd-2", labels="x"), "labels"),
        (an_issue("bd-2", priority="high"), "priority"),
        (an_issue("bd-2", assignee="x" * 129), "agent name has 129"),
        (an_issue("x" * 129), "alias has 129"),
        (an_issue("bd-2", dependencies=[{"type": "parent-child"}]), "depends_on_id"),
        (an_issue("bd-1"), "earlier line"),
        ('{"id":"bd-2","title":"\\ud800"}', "\\ud800 at byte 23 is half of a surrogate pair"),
        ("[" * 100_000, ""),
    ],
    ids=range(20),
)
def test_bad_line_is_reported_with_its_number(file: Path, line: str | dict[str, Any], words: str) -> None:
    """One bad line, and nothing of the file is taken; the report says which line and why."""
    problems = refused(file, an_issue("bd-1"), "", line, an_issue("bd-3"))
    assert len(problems) == 1
    assert problems[0].startswith("line 3: ")
    assert words in problems[0]


def test_bad_assignee_of_an_open_issue_is_reported(file: Path) -> None:
    """An agent's name is checked for assigned issues as for running ones."""
    assert refused(file, an_issue(assignee="a\x1b[31m"))[0].startswith("line 1: ")


def test_every_bad_line_is_reported(file: Path) -> None:
    """Not only the first, so that a file is corrected in one go."""
    problems = refused(file, "x", an_issue("bd-1"), an_issue("bd-1"), an_issue("bd-2", status="?"))
    assert [problem.partition(":")[0] for problem in problems] == ["line 1", "line 3", "line 4"]


def test_line_that_is_not_utf8_is_reported(file: Path) -> None:
    """Bytes that are no UTF-8 are a bad line, not a crash."""
    file.write_bytes(b'{"id":"bd-1","title":"x"}\n{"id":"bd-2","title":"caf\xe9"}\n')
    with pytest.raises(ImportRefusedError, match="line 2"):
        read_beads(file, town=TOWN, actor=ACTOR)


@pytest.mark.parametrize("text", ["", "\n\n", "  \n\t\r\n"])
def test_file_without_issues_asks_for_nothing(file: Path, text: str) -> None:
    """Blank lines are no lines."""
    file.write_text(text, encoding="utf-8")
    assert read_beads(file, town=TOWN, actor=ACTOR) == BeadsExport({}, ())


def test_blank_lines_and_windows_line_ends_are_skipped(file: Path) -> None:
    """Blank lines between issues, a missing last newline and CR LF are fine."""
    line = json.dumps(an_issue())
    file.write_bytes(f"\r\n{line}\r\n\r\n{line.replace('bd-1', 'bd-2')}".encode())
    assert len(read_beads(file, town=TOWN, actor=ACTOR).desired) == 2


def test_file_that_cannot_be_read_is_refused(file: Path) -> None:
    """A missing file is named."""
    with pytest.raises(FolderRefusedError, match=r"issues\.jsonl"):
        read_beads(file, town=TOWN, actor=ACTOR)


def test_refusal_shows_twenty_lines_and_counts_the_rest(file: Path) -> None:
    """A file of another kind does not flood the terminal."""
    with pytest.raises(ImportRefusedError, match=r"… and 5 more") as caught:
        read_lines(file, *(["nonsense"] * 25))
    assert len(caught.value.problems) == 25
    assert str(caught.value).count("line ") == 20


def test_long_line_is_refused_and_the_lines_after_it_are_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is skipped in pieces, not kept, and the faults behind it keep their numbers."""
    monkeypatch.setattr("town.imports.beads.BEADS_LINE_BYTES_MAX", 100)
    problems = refused(file, an_issue(), an_issue("bd-2", notes="x" * 1_000), "{")
    assert [problem.partition(":")[0] for problem in problems] == ["line 2", "line 3"]
    assert "more than 100 bytes" in problems[0]


def test_line_as_long_as_is_allowed_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line break does not count, nor does the last line need one."""
    text = json.dumps(an_issue())
    monkeypatch.setattr("town.imports.beads.BEADS_LINE_BYTES_MAX", len(text) + 1)
    file.write_text(f"{text}\n{text.replace('bd-1', 'bd-2')}")
    assert len(read_beads(file, town=TOWN, actor=ACTOR).desired) == 2


@pytest.mark.parametrize(
    ("bound", "most", "words"), [("BEADS_LINES_MAX", 2, "more lines than 2"), ("BEADS_BYTES_MAX", 99, "at most 99")]
)
def test_export_without_an_end_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, words: str
) -> None:
    """The bound is met before more is read."""
    monkeypatch.setattr(f"town.imports.beads.{bound}", most)
    assert words in refused(file, *(an_issue(f"bd-{number}") for number in range(3)))[0]


def test_pipe_and_device_are_not_waited_for(file: Path) -> None:
    """Nobody writes into the pipe, and the device has no end."""
    os.mkfifo(file)
    for path in (file, Path("/dev/zero")):
        with pytest.raises(FolderRefusedError, match="not a regular file"):
            read_beads(path, town=TOWN, actor=ACTOR)


def test_long_value_is_quoted_in_part(file: Path) -> None:
    """An error is read by people."""
    assert len(refused(file, an_issue(status="x" * 100_000))[0]) < 400
