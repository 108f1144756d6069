"""Notes on events: shown where the event is, in nobody's way, and read without a walk through the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import redis

from ledger import (
    TOWN_ID,
    EventAnnotated,
    InvalidValueError,
    Position,
    TaskNoted,
    TaskNotFoundError,
)
from tests.support.builders import an_event
from tests.support.expected_keys import dump_keys
from tests.support.towns import client_of, end_server
from tests.support.tt import run_process
from town import EventFilter, MomentError, Town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town.init(tmp_path / "town", name="notes", actor="alice", is_registered=False) as town:
        yield town
    end_server(tmp_path / "town")


@pytest.fixture
def server(town: Town) -> Iterator[redis.Redis]:
    with client_of(town.folder) as client:
        yield client


def texts(town: Town, position: Position) -> list[str]:
    return [note.text for note in town.annotations(town.events.last(count=None)).get(position, ())]


def test_note_is_on_its_event_and_on_no_other(town: Town) -> None:
    """Several are in their order, each with who wrote it and when; the event may be named by position or number."""
    first, second = town.create("x", agent="ada").positions
    with Town.open(town.folder, actor="bob") as bob:
        at, place = bob.annotator.annotate(first, "one")
        assert (at, bob.annotator.annotate(1, "two")[0]) == (first, first)
    found = town.annotations(town.events.last())
    assert list(found) == [first]
    assert [(note.actor, note.text) for note in found[first]] == [("bob", "one"), ("bob", "two")]
    assert (found[first][0].position, found[first][0].time) == (place, place.time)
    assert town.annotations(town.events.last(since=second, until=second)) == {}


def test_note_on_a_note_is_one(town: Town) -> None:
    """A note is an event, too."""
    town.create("x")
    _, place = town.annotator.annotate(1, "one")
    town.annotator.annotate(place, "on it")
    assert texts(town, place) == ["on it"]


@pytest.mark.parametrize(
    ("event", "text", "error"),
    [
        (7, "x", MomentError),
        (Position("1795398503973-1"), "x", MomentError),
        (1, " ", InvalidValueError),
        (1, "a\0b", InvalidValueError),
        (1, "x" * (64 * 1024 + 1), InvalidValueError),
    ],
)
def test_note_that_does_not_fit_is_refused(
    town: Town, event: Position | int, text: str, error: type[Exception]
) -> None:
    """An event that is not there, and what the rules of notes do not take; nothing was written."""
    end = town.create("x").positions[0]
    with pytest.raises(error):
        town.annotator.annotate(event, text)
    assert town.end() == end


def test_past_moment_does_not_know_what_was_written_later(town: Town) -> None:
    """The answer for a moment never changes (P7)."""
    task = town.create("x").task.id
    town.annotator.annotate(1, "one")
    then = town.end()
    town.annotator.annotate(1, "two")
    events = town.events.last(count=1, until=1)
    assert [note.text for note in town.at(then).annotations(events)[events[0].at]] == ["one"]
    assert town.at(events[0].position).annotations(events) == {}
    assert [step.event.type for step in town.history(task)] == ["task.created"]


def test_two_who_write_at_once_both_write(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The town's versions tell them apart, and the one who comes second tries again (P4)."""
    town.create("x")
    begin = town.backend.store.begin_append
    attempts: list[int] = []

    def overtaken(*given: object, **more: object) -> object:
        attempts.append(1)
        if len(attempts) == 1:
            with Town.open(town.folder, actor="bob") as bob:
                bob.annotator.annotate(1, "first")
        return begin(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(town.backend.store, "begin_append", overtaken)
    town.annotator.annotate(1, "second")
    assert texts(town, town.events.beginning()) == ["first", "second"]
    assert [each.version for each in town.backend.store.history(TOWN_ID)] == [1, 2]


def test_board_views_and_counts_know_nothing_of_notes(town: Town, server: redis.Redis) -> None:
    """Every reader of tasks answers as before; what is stored beside ledger, head and checkpoints stays, byte by byte."""
    task = town.create("x", agent="ada", tags=["a"]).task.id
    town.complete(task)
    ours = (town.keys.ledger, town.keys.heads, town.keys.checkpoint(""))

    def stored() -> dict[bytes, object]:
        dumped = cast("dict[bytes, object]", dump_keys(server, town.keys))
        return {key: value for key, value in dumped.items() if not key.decode().startswith(ours)}

    before, answers = stored(), all_answers(town)
    for number in (1, 2, 3):
        town.annotator.annotate(number, "n")
    assert stored() == before
    assert all_answers(town) == answers
    assert town.upkeep.verify().findings == ()
    town.upkeep.rebuild()
    assert stored() == before
    assert town.upkeep.verify().findings == ()
    assert town.replay(town.end()).tasks.keys() == {task}
    # The past is folded from the ledger, notes and all.
    assert all_answers(town.at(town.end()))[1:] == answers[1:]
    assert town.undoing.undo(task).command[-1].type == "task.completed"


def all_answers(reader: Town | object) -> list[object]:
    town = cast("Town", reader)
    return [
        town.page(),
        [task.id for task in town.page().tasks],
        town.count_states(),
        town.count_agents(),
        town.stats(),
        town.backlog().total,
        [branch.task.id for branch in town.tree()],
    ]


@pytest.mark.parametrize("name", ["town", "t", TOWN_ID])
def test_town_is_no_task(town: Town, name: str) -> None:
    """Nothing that names tasks leads to the town's own events; a task may have that alias."""
    town.create("x")
    town.annotator.annotate(1, "n")
    with pytest.raises(TaskNotFoundError):
        town.history(name)
    with pytest.raises(TaskNotFoundError):
        town.at("now").task(name)
    task = town.create("y", alias=name).task.id
    assert town.history(name)[0].event.task == task


def test_events_are_filtered_with_notes_among_them(town: Town) -> None:
    """By type, actor and agent; who follows a town is told of a note as it comes."""
    town.create("x", agent="ada")
    after = town.end()
    with Town.open(town.folder, actor="bob") as bob:
        bob.annotator.annotate(1, "n")

    def types(wanted: EventFilter) -> list[str]:
        return [each.type for each in town.events.last(wanted)]

    assert types(EventFilter(type="event.annotated")) == types(EventFilter(actor="bob")) == ["event.annotated"]
    assert types(EventFilter(agent="ada")) == ["task.assigned"]
    assert types(EventFilter()) == ["task.created", "task.assigned", "event.annotated"]
    assert [each.type for each in next(town.events.follow_batches(after=after))] == ["event.annotated"]


def test_notes_are_read_from_the_town_s_own_chain(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events the ledger has: of a town without notes its head is asked once, and what lies before the event is not read."""
    for _ in range(30):
        town.create("x")
    town.annotator.annotate(1, "early")
    last = town.create("y").positions[-1]
    town.annotator.annotate(last, "late")
    read: list[int] = []
    back = town.backend.store.history_back

    def counted(task: str) -> Iterator[object]:
        for each in back(task):
            read.append(each.position.seq)
            yield each

    monkeypatch.setattr(town.backend.store, "history_back", counted)
    monkeypatch.setattr(town.backend.store, "read_batches", None)
    assert [note.text for note in town.annotations(town.events.last(count=2))[last]] == ["late"]
    # The note itself, and then one that is older than the oldest event shown.
    assert read == [33, 31]


def test_broken_chain_is_told_and_what_can_be_read_is_shown(town: Town, server: redis.Redis) -> None:
    """Damage among the town's events keeps nobody from the events of a task (P10)."""
    town.create("x")
    _, first = town.annotator.annotate(1, "lost")
    town.annotator.annotate(1, "kept")
    server.xdel(town.keys.ledger, first)
    events = town.events.last(count=1, until=1)
    assert [note.text for note in town.annotations(events)[events[0].at]] == ["kept"]
    assert first in str(town.noted.lost_annotations)
    ran = run_process("task", "history", events[0].task, folder=town.folder)
    assert (ran.code, "✎ alice: kept" in ran.out) == (0, True)
    assert "Older notes on what you see could not be read." in ran.err


def test_event_that_no_command_makes_is_told_and_shown_on_nothing(town: Town) -> None:
    """A note on a later event, a task's event under the town's id, and the town's event under a task's."""
    task = town.create("x").task.id
    store = town.backend.store
    later = Position.of(ms=town.end().ms, seq=99)
    store.append([an_event(EventAnnotated(later, "n"), task=TOWN_ID)], {TOWN_ID: 0})
    store.append([an_event(TaskNoted("n"), task=TOWN_ID, version=2)], {TOWN_ID: 1})
    store.append([an_event(EventAnnotated(town.events.beginning(), "n"), task=task, version=2)], {task: 1})
    events = town.events.last()
    assert town.annotations(events) == {}
    flaws = town.find_flaws(events)
    assert [number for number, each in enumerate(events, 1) if each.at in flaws] == [2, 3, 4]
    assert town.task(task).damaged_at == events[-1].at
    verified = town.upkeep.verify()
    assert {finding.where for finding in verified.findings} >= {each.at for each in events[1:]}
    # Another task is none the worse for it, and notes go on.
    assert town.complete(town.create("y", agent="ada").task.id).task.state == "completed"
    town.annotator.annotate(1, "m")
    assert texts(town, town.events.beginning()) == ["m"]


def shown(words: Sequence[str], folder: Path) -> str:
    return run_process(*words, folder=folder, env={"TT_ACTOR": "alice"}).out


def test_note_is_shown_wherever_its_event_is(town: Town) -> None:
    """Events, also as they come, a task's history and a town's last events; in JSON as `annotations`, and nowhere else."""
    task = town.create("x").task.id
    plain = run_process("events", "--json", folder=town.folder).json["events"][0]
    _, place = town.annotator.annotate(1, "one\x1b[31m")
    for words in (["events"], ["task", "history", task], ["status", "--deep"]):
        assert "✎ alice: one\\x1b[31m" in shown(words, town.folder), words
    note = {
        "position": place,
        "number": 2,
        "time": place.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    note |= {"actor": "alice", "text": "one\x1b[31m"}
    events = run_process("events", "--json", folder=town.folder).json["events"]
    history = run_process("task", "history", task, "--json", folder=town.folder).json["events"]
    last = run_process("status", "--deep", "--json", folder=town.folder).json["last_events"]
    assert events[0] == last[0] == plain | {"annotations": [note]}
    assert history[0]["annotations"] == [note]
    assert "annotations" not in events[1]
