"""Finding events newest first, on a real ledger: what is found, page by page, and how little is read for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from ledger import (
    EventStore,
    HistoryBrokenError,
    Keys,
    RecordedEvent,
    SequenceGapError,
    StreamEntry,
    TaskAssigned,
    TaskCreated,
    TaskNoted,
)
from tests.support.builders import TASK, append, task_id
from tests.support.histories import AGENTS, Filler
from town import EventFilter
from town.reading import event_search
from town.reading.event_filter import Holders
from town.reading.event_reader import EventReader

BOUNDS: dict[str, dict[str, int]] = {
    "as they are": {},
    "every page of the ledger": {"FIRST_EVENTS": 3, "SCAN_EVENTS": 4, "TASKS_READ_MAX": 0},
    "agents by their tasks": {"FIRST_EVENTS": 3, "SCAN_EVENTS": 4, "HOLDERS_LOOKED_UP_MAX": 2, "LOOKUP_ROUNDS_MAX": 1},
    "agents by the ledger": {
        "FIRST_EVENTS": 3,
        "SCAN_EVENTS": 4,
        "HOLDERS_LOOKED_UP_MAX": 2,
        "HISTORY_EVENTS_MAX": 0,
        "TASKS_READ_MAX": 1,
    },
}
"""Small bounds, so that a small ledger goes every way."""


@pytest.fixture(params=list(BOUNDS.values()), ids=list(BOUNDS))
def _bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in request.param.items():
        monkeypatch.setattr(event_search, name, bound)


@pytest.fixture
def reader(store: EventStore) -> EventReader:
    return EventReader(store)


def scanned(events: list[RecordedEvent], wanted: EventFilter) -> list[int]:
    """The numbers of the events that match, newest first, by reading all of them from the beginning."""
    holders = Holders()
    concerned = [wanted.agent is None or holders.concerns(each, wanted.agent) for each in events]
    matching = [each for each, is_wanted in zip(events, concerned, strict=True) if is_wanted and wanted.matches(each)]
    return [each.position.seq for each in reversed(matching)]


def numbers(events: Iterator[RecordedEvent]) -> list[int]:
    return [each.position.seq for each in events]


@pytest.mark.usefixtures("_bounds")
def test_search_finds_what_a_scan_finds(store: EventStore, reader: EventReader) -> None:
    """By every combination of conditions, in the whole ledger and in a part of it; the pages together are the whole."""
    Filler(store, seed=7).fill(150)
    events = store.read(limit=1_000)
    tasks = [None, frozenset([task_id(1)]), frozenset(map(task_id, (1, 2, 3, 99))), frozenset[str]()]
    wishes = [
        EventFilter(agent=agent, actor=actor, type=kind, text=text, tasks=ids)
        for agent, actor, kind, text, ids in product(
            (None, AGENTS[0], "nobody"), (None, "filler"), (None, "task.noted"), (None, "✅", "A"), tasks
        )
    ]
    middle, last = len(events) // 3, len(events) * 2 // 3
    for wanted in wishes:
        expected = scanned(events, wanted)
        assert numbers(reader.search(wanted)) == expected, wanted
        inside = [number for number in expected if middle <= number < last]
        assert numbers(reader.search(wanted, since=middle, before=last)) == inside, wanted
    whole = EventFilter(agent=AGENTS[0])
    page = reader.page(whole, count=7)
    found = list(page.events)
    while page.before is not None:
        page = reader.page(whole, count=7, before=page.before)
        found += page.events
    assert numbers(iter(found)) == scanned(events, whole)


def test_page_says_where_the_next_one_begins(store: EventStore, reader: EventReader) -> None:
    """The last page says that it is the last, also if it is full."""
    positions = append(store, [TaskCreated("a"), TaskNoted("b"), TaskNoted("c"), TaskNoted("d")])
    first = reader.page(count=2)
    assert [each.at for each in first.events] == [positions[3], positions[2]]
    assert first.before == positions[2]
    second = reader.page(count=2, before=first.before)
    assert [each.at for each in second.events] == [positions[1], positions[0]]
    assert (second.before, second.has_more) == (None, False)
    assert reader.page(count=None).before is None


def test_only_what_may_match_is_decoded(
    store: EventStore, reader: EventReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tt events --agent` once decoded every event of the ledger, which took 4 s for a million."""
    append(store, [TaskCreated("a"), *[TaskNoted(f"n{number}") for number in range(1_500)]])
    decoded: list[int] = []
    decode = store.decode

    def count_and_decode(entries: Sequence[StreamEntry]) -> list[RecordedEvent]:
        decoded.append(len(entries))
        return decode(entries)

    monkeypatch.setattr(store, "decode", count_and_decode)
    for wanted in (EventFilter(actor="nobody"), EventFilter(type="task.failed"), EventFilter(text="zebra")):
        decoded.clear()
        assert list(reader.search(wanted)) == []
        assert sum(decoded) == event_search.FIRST_EVENTS
    decoded.clear()
    assert list(reader.search(EventFilter(agent="nobody"))) == []
    assert sum(decoded) < 1_600


def test_missing_event_is_noticed_by_a_search(store: EventStore, reader: EventReader, keys: Keys) -> None:
    """Where undecoded events are read, too: the numbers have a gap."""
    positions = append(store, [TaskCreated("a"), *[TaskNoted("n")] * 600])
    store._client.xdel(keys.ledger, positions[100])
    with pytest.raises(SequenceGapError):
        list(reader.search(EventFilter(actor="nobody")))


def test_lost_predecessor_is_named_where_it_decides_who_had_the_task(
    store: EventStore, reader: EventReader, keys: Keys
) -> None:
    """An agent's events cannot be told without it."""
    positions = append(store, [TaskCreated("a"), TaskAssigned("ada")])
    append(store, [TaskCreated("b"), *[TaskNoted("n")] * 300], task=task_id(2))
    last = append(store, [TaskNoted("x")], task=TASK, expected=2)
    store._client.xdel(keys.ledger, positions[1])
    with pytest.raises((HistoryBrokenError, SequenceGapError)):
        list(reader.search(EventFilter(agent="ada"), since=last[0]))
