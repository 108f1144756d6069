"""The town's own events: which are sound, and that a batch of events reads the same with one among them."""

from __future__ import annotations

import msgspec
import pytest

from ledger import (
    TOWN_ID,
    EventAnnotated,
    EventDecodingError,
    NewEvent,
    Position,
    RecordedEvent,
    TaskCreated,
    TaskNoted,
    TownEvent,
    TownForked,
    Unfit,
    decode_event,
    decode_events,
    evolve_known,
    flaw_in,
    flaw_of,
    record,
)
from ledger.recorded_event import StreamEntry, encode_event
from projections import Board
from tests.support.builders import START_MS, TASK

AT = Position.of(ms=START_MS, seq=9)


def of_town(data: TownEvent | TaskNoted | TaskCreated, *, version: int = 1, task: str = TOWN_ID) -> NewEvent:
    return NewEvent(task=task, version=version, actor="alice", command="c", data=data)


def entry(event: NewEvent, position: Position) -> StreamEntry:
    payload = b'{"prev":null,' + encode_event(event)[1:]
    return position.encode(), [b"event", payload]


@pytest.mark.parametrize(
    "data",
    [
        EventAnnotated(f"{START_MS}-8", "x"),
        EventAnnotated(f"{START_MS - 5}-1", "x" * 64 * 1024),
        TownForked("my-town", f"{START_MS}-8"),
        TownForked("my-town", f"{START_MS - 60_000}-8"),
    ],
)
def test_town_event_that_a_command_makes_is_sound(data: TownEvent) -> None:
    """A note on an earlier event; a fork right after what it has in common with its source."""
    assert flaw_of(None, record(of_town(data), AT)) is None


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (EventAnnotated(f"{START_MS}-9", "x"), "does not come before it"),
        (EventAnnotated(f"{START_MS + 1}-10", "x"), "does not come before it"),
        (EventAnnotated("0-0", "x"), "does not come before it"),
        (EventAnnotated(f"{START_MS}-8", ""), "is empty"),
        (EventAnnotated(f"{START_MS}-8", "a\0b"), "NUL"),
        (TownForked("my:town", f"{START_MS}-8"), "town name"),
        (TownForked("my-town", f"{START_MS}-7"), "right before it"),
        (TownForked("my-town", f"{START_MS}-9"), "right before it"),
        (TownForked("my-town", f"{START_MS + 1}-8"), "right before it"),
    ],
)
def test_town_event_that_no_command_makes_has_a_flaw(data: TownEvent, flaw: str) -> None:
    """Rules of values hold for the town's events that are read, as they do for those of tasks."""
    found = flaw_in(record(of_town(data), AT))
    assert found is not None
    assert flaw in found


def test_position_that_is_none_does_not_fit() -> None:
    """An event that names no position is shown with what is wrong, and its neighbours are read."""
    sound = entry(of_town(EventAnnotated(f"{START_MS}-8", "x")), AT)
    raw = msgspec.json.decode(sound[1][1])
    raw["data"]["position"] = "yesterday"
    with pytest.raises(EventDecodingError):
        decode_event(b"1-1", [b"event", msgspec.json.encode(raw)])
    broken = Position.of(ms=START_MS, seq=10).encode(), [b"event", msgspec.json.encode(raw)]
    first, second = decode_events([sound, broken])
    assert isinstance(first.data, EventAnnotated)
    assert isinstance(second.data, Unfit)


def test_batch_with_a_town_event_reads_like_each_by_itself() -> None:
    """Also with its first one, which has an id that is no UUID."""
    events = [
        of_town(TaskCreated("x"), task=TASK),
        of_town(EventAnnotated(f"{START_MS}-1", "x")),
        of_town(TaskNoted("y"), task=TASK, version=2),
        of_town(EventAnnotated(f"{START_MS}-3", "y"), version=2),
    ]
    entries = [entry(event, Position.of(ms=START_MS, seq=seq)) for seq, event in enumerate(events, 1)]
    assert decode_events(entries) == [decode_event(*each) for each in entries]
    assert [each for each in map(flaw_in, decode_events(entries)) if each is not None] == []


@pytest.mark.parametrize("version", [1, 2])
def test_event_of_a_task_under_the_town_is_an_event_of_no_task(version: int) -> None:
    """As under any id that is no UUID: nobody can make a task of that name."""
    [recorded] = decode_events([entry(of_town(TaskCreated("x"), version=version), AT)])
    assert flaw_in(recorded) == "the task's id is no UUID"
    assert evolve_known(None, recorded) is None


def test_board_has_no_task_for_the_town_and_checks_its_versions() -> None:
    """Loss among the town's events is visible, as among those of a task (P3)."""

    def annotated(version: int) -> RecordedEvent:
        return record(of_town(EventAnnotated(f"{START_MS}-1", "x"), version=version), AT)

    board = Board()
    board.fold([annotated(1), annotated(2)])
    assert (board.tasks, board.position) == ({}, AT)
    with pytest.raises(Exception, match="version of task town"):
        board.fold([annotated(4)])
