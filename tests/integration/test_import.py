"""Imports on a real server: what they append, what they append once only, and how much they ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from redis.connection import AbstractConnection

from ledger import CircularNeedsError, LinkKind, State, TaskNoted
from town import ImportRefusedError, Town
from town.imports.importer import Importer


@pytest.fixture
def town(tmp_path: Path, client: redis.Redis, server_socket: Path) -> Iterator[Town]:
    """A town on the session's server."""
    assert client.ping()
    url = f"unix://{server_socket}"
    with Town.init(tmp_path / "here", name="demo", url=url, actor="eve", is_registered=False) as opened:
        yield opened


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one with each round trip of a client in this process."""
    trips: list[None] = []
    send = AbstractConnection.send_packed_command

    def send_and_count(self: AbstractConnection, *arguments: Any, **options: Any) -> Any:
        trips.append(None)
        return send(self, *arguments, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AbstractConnection, "send_packed_command", send_and_count)
    return trips


def write_export(folder: Path, *, tombstones: int) -> Path:
    path = folder / "issues.jsonl"
    issues = [{"id": "bd-0", "title": "x"}]
    issues += [{"id": f"bd-{number}", "title": "x", "status": "tombstone"} for number in range(1, tombstones + 1)]
    path.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues))
    return path


def calls(client: redis.Redis) -> int:
    """How many commands the server has carried out, those that scripts call among them."""
    statistics = cast("dict[str, dict[str, int]]", client.info("commandstats"))
    return sum(each["calls"] for each in statistics.values())


def test_tombstones_of_removed_tasks_cost_one_question_for_all(
    town: Town, client: redis.Redis, sent: list[None]
) -> None:
    """40 of them take no more round trips than 2, and one look-up each. It once was 21 commands for each, one by one."""
    made = town.folder / "made.jsonl"
    made.write_text("".join(f'{{"id":"bd-{number}","title":"x"}}\n' for number in range(41)))
    town.imports.beads(made)
    town.imports.beads(write_export(town.folder, tombstones=40))
    trips: list[int] = []
    commands: list[int] = []
    for tombstones in (2, 40):
        export = write_export(town.folder, tombstones=tombstones)
        before = len(sent), calls(client)
        assert town.imports.beads(export).positions == ()
        trips.append(len(sent) - before[0])
        commands.append(calls(client) - before[1])
    assert trips[0] == trips[1] > 0
    assert commands[1] - commands[0] <= 40 - 2


def test_removed_task_that_is_back_is_no_removed_one(town: Town) -> None:
    """A tombstone removes a task that was made again after an earlier removal."""
    export = write_export(town.folder, tombstones=1)
    for _ in range(2):
        made = town.folder / "made.jsonl"
        made.write_text('{"id":"bd-1","title":"x"}\n')
        assert town.imports.beads(made).created == 1
        assert town.imports.beads(export).removed == 1
    assert [step.event.type for step in town.history("bd-1")] == ["task.created", "task.removed"] * 2


# --- what is appended ------------------------------------------------------------------------------------------

HAND_MADE = Path(__file__).parents[1] / "acceptance" / "data" / "beads-1.x.jsonl"


def write_issues(town: Town, *issues: dict[str, Any] | str) -> Path:
    path = town.folder / "made.jsonl"
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in issues))
    return path


def notes_of(town: Town, alias: str) -> list[str]:
    return [step.event.data.text for step in town.history(alias) if isinstance(step.event.data, TaskNoted)]


def test_importing_a_whole_export_twice_appends_nothing(town: Town) -> None:
    """Texts, fields, links and comments are there after one append, which verify finds sound; again there is nothing to do."""
    first = town.imports.beads(HAND_MADE)
    assert first.created == 5
    assert town.imports.beads(HAND_MADE).positions == ()
    assert town.upkeep.verify().findings == ()
    login = town.task("web-1")
    assert (login.priority, len(login.needs), len(notes_of(town, "web-1"))) == (0, 2, 2)
    [note, _] = [step.event for step in town.history("web-1") if isinstance(step.event.data, TaskNoted)]
    assert note.actor == "eve"
    assert note.occurred_at is not None
    assert note.occurred_at.isoformat() == "2026-01-06T10:00:00+00:00"


def test_new_comment_alone_is_appended(town: Town) -> None:
    """Comments that are there are not said again, also not after the task was removed and came back; equal ones count each."""
    comments = [{"author": "ben", "text": "again"}, {"author": "ben", "text": "again"}]
    issue = {"id": "bd-1", "title": "x", "status": "closed"}
    town.imports.beads(write_issues(town, issue | {"comments": comments[:1]}))
    assert len(town.imports.beads(write_issues(town, issue | {"comments": comments})).positions) == 1
    town.remove("bd-1")
    town.imports.beads(write_issues(town, issue | {"comments": comments}))
    assert notes_of(town, "bd-1") == ["Comment by ben: again"] * 2
    assert town.imports.beads(write_issues(town, issue | {"comments": comments})).positions == ()


def test_tasks_of_an_earlier_import_are_met_again(town: Town) -> None:
    """Their tag for the priority goes, and the field takes its place; a finished task gets its text, too."""
    town.create("Fix it", alias="bd-1", tags=["priority:1", "type:bug"])
    town.create("Paint it", alias="bd-2", tags=["priority:2"])
    town.complete("bd-2", agent="ada")
    export = write_issues(
        town,
        {"id": "bd-1", "title": "Fix it", "priority": 1, "issue_type": "bug"},
        {
            "id": "bd-2",
            "title": "Paint it",
            "priority": 2,
            "status": "closed",
            "assignee": "ada",
            "description": "Blue",
        },
    )
    town.imports.beads(export)
    assert (town.task("bd-1").priority, town.task("bd-1").tags) == (1, ("type:bug",))
    assert [step.event.type for step in town.history("bd-1")] == ["task.created", "task.tagged", "task.prioritised"]
    assert (town.task("bd-2").tags, town.task("bd-2").description) == ((), "Paint it\n\nBlue")
    assert town.task("bd-2").state == "completed"
    assert town.imports.beads(export).positions == ()


def test_circle_through_a_task_that_the_file_does_not_have_is_refused(town: Town) -> None:
    """The file alone has none. Nothing is written, and the way is named."""
    town.imports.beads(write_issues(town, {"id": "bd-1", "title": "x"}, {"id": "bd-2", "title": "x"}))
    own = town.create("ours", parent="bd-1", needs=["bd-2"]).task
    end = town.end()
    needing = {"id": "bd-2", "title": "x", "dependencies": [{"depends_on_id": "bd-1", "type": "blocks"}]}
    with pytest.raises(CircularNeedsError) as caught:
        town.imports.beads(write_issues(town, {"id": "bd-1", "title": "x"}, needing))
    assert town.end() == end
    assert own.id in str(caught.value) or own.id[:8] in str(caught.value)


def test_links_that_people_made_are_set_back_to_the_file(town: Town) -> None:
    """As tags and parents are: the file says what its tasks are."""
    export = write_issues(town, {"id": "bd-1", "title": "x"}, {"id": "bd-2", "title": "x"})
    town.imports.beads(export)
    town.link("bd-1", ["bd-2"], LinkKind.RELATES)
    assert len(town.imports.beads(export).positions) == 1
    assert town.task("bd-1").relates == ()


def test_bad_lines_are_set_aside_in_a_file_of_their_own(town: Town) -> None:
    """Never over another file; the same lines again are in the same file."""
    export = write_issues(town, {"id": "bd-1", "title": "x"}, "nonsense", {"id": "bd-2", "status": "open"})
    taken = export.with_name("made.jsonl.bad")
    taken.write_text("somebody's")
    receipt = town.imports.beads(export, skip_bad=True)
    assert receipt.set_aside == export.with_name("made.jsonl.bad-2")
    assert receipt.set_aside.read_text() == 'nonsense\n{"id": "bd-2", "status": "open"}\n'
    assert [line.partition(":")[0] for line in receipt.bad_lines] == ["line 2", "line 3"]
    assert taken.read_text() == "somebody's"
    assert town.imports.beads(export, skip_bad=True).set_aside == receipt.set_aside
    assert [task.alias for task in town.page().tasks] == ["bd-1"]


def test_pruning_and_skipping_do_not_go_together(town: Town) -> None:
    """The tasks of skipped lines would be removed; nothing is written, not even the file of bad lines."""
    town.imports.beads(write_issues(town, {"id": "bd-1", "title": "x"}))
    export = write_issues(town, {"id": "bd-1", "title": ""}, {"id": "bd-2", "title": "x"})
    with pytest.raises(ImportRefusedError, match="import without --prune"):
        town.imports.beads(export, prune=True, skip_bad=True)
    assert [task.alias for task in town.page().tasks] == ["bd-1"]
    assert not export.with_name("made.jsonl.bad").exists()


@pytest.mark.parametrize("status", ["closed", "in_progress", "hooked"])
def test_import_by_somebody_else_appends_nothing(town: Town, status: str) -> None:
    """Where an issue names nobody, the task stays with who has it. Each person's import took all such tasks from the last one."""
    path = town.folder / "issues.jsonl"
    path.write_text(json.dumps({"id": "bd-1", "title": "x", "status": status}) + "\n")
    assert town.imports.beads(path).positions
    with Town.open(town.folder, actor="bob") as other:
        assert other.imports.beads(path).positions == ()
    assert town.task("bd-1").assigned_to == "eve"


def test_issue_that_names_nobody_stays_with_who_has_its_task(town: Town) -> None:
    """An agent that took the task in the town is not taken for the importer, also where the import ends the task."""
    path = town.folder / "issues.jsonl"
    path.write_text('{"id": "bd-1", "title": "x"}\n')
    town.imports.beads(path)
    town.start("bd-1", agent="ada")
    path.write_text('{"id": "bd-1", "title": "x", "status": "closed"}\n')
    town.imports.beads(path)
    assert (town.task("bd-1").state, town.task("bd-1").assigned_to) == (State.COMPLETED, "ada")


@pytest.mark.parametrize("kind", ["blocks", "related", "parent-child"])
def test_import_ties_to_no_task_that_is_removed_in_between(
    town: Town, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A task that goes between the decision and the append is brought back, as the file says; a tie led to one that was gone."""
    path = town.folder / "issues.jsonl"
    path.write_text('{"id": "bd-1", "title": "x"}\n')
    town.imports.beads(path)
    tie = {"issue_id": "bd-2", "depends_on_id": "bd-1", "type": kind}
    path.write_text(
        f'{{"id": "bd-1", "title": "x"}}\n{json.dumps({"id": "bd-2", "title": "y", "dependencies": [tie]})}\n'
    )
    decide = Importer._decide
    left = ["bd-1"]

    def decide_late(self: Importer, *arguments: Any, **options: Any) -> Any:
        made = decide(self, *arguments, **options)
        if left:
            town.remove(left.pop())
        return made

    monkeypatch.setattr(Importer, "_decide", decide_late)
    town.imports.beads(path)
    task, tied = town.task("bd-1"), town.task("bd-2")
    assert task.id in (*tied.needs, *tied.relates, tied.parent_id)
