"""Finds the gap: holds what this machine was told against the ledger, and judges what can be appended again. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from ledger import (
    BEGINNING,
    TOWN_ID,
    EventAnnotated,
    EventStore,
    LedgerDamagedError,
    Position,
    RecordedEvent,
    Task,
    TownRecovered,
    decode_event,
    evolve_known,
    flaw_of,
    ms_of,
    order_of,
    to_ms,
    without_prev,
)
from projections import fold_task
from town.receipts.reading import AllReceipts, KeptEvent
from town.recovery.gap import REMAINS, Fate, Gap, GoneEvent

HELD_TOGETHER_MAX: Final = 500
"""How many events are held against the ledger in one round trip."""


def find_gone(store: EventStore, events: Sequence[KeptEvent]) -> list[KeptEvent]:
    """Those of the events that are not in the ledger, or not with these bytes. Source: XRANGE."""
    gone: list[KeptEvent] = []
    rest = iter(events)
    while batch := list(islice(rest, HELD_TOGETHER_MAX)):
        found = {
            entry_id.decode(): without_prev(fields[1])
            for entry_id, fields in store.entries_at([Position(each.at) for each in batch])
        }
        gone += [each for each in batch if found.get(each.at) != each.payload]
    return gone


def find_gap(store: EventStore, receipts: AllReceipts, known: str) -> Gap:
    """What is gone. `known` is the last position told. LedgerDamagedError, StoreUnavailableError."""
    end = store.look_at_end()[0]
    gone = [_decoded(each) for each in find_gone(store, receipts.events)]
    fates = {each.position: each for each in _fates_of_tasks(store, gone)}
    named = {name for each in gone for name in _named_by(each)} - {each.at for each in gone}
    there = {entry_id.decode() for entry_id, _ in store.entries_at([Position(each) for each in named])}
    moved = find_moved(store, named - there)
    nowhere = frozenset(named - there - moved.keys())
    for each in _fates_of_town(store, gone, fates, nowhere):
        fates[each.position] = each
    if known and known not in fates and not store.has(Position(known)):
        why = "what it said is not among the receipts of this machine"
        fates[Position(known)] = GoneEvent(position=Position(known), fate=Fate.UNKNOWN, why=why)
    moved |= {each.position: each.now for each in fates.values() if each.fate is Fate.THERE and each.now is not None}
    return Gap(tuple(fates[each] for each in sorted(fates)), end, receipts.damaged, moved, nowhere)


def find_moved(store: EventStore, positions: Collection[str]) -> dict[str, Position]:
    """Where events are now that stood at these positions, and that a recovery of another machine has appended again.

    They are known by the time when they happened. Of several of one millisecond, mostly of one command, it is the first.
    """
    recovered = (
        [each for each in store.history_back(TOWN_ID) if isinstance(each.data, TownRecovered)] if positions else []
    )
    if not recovered:
        return {}
    places: dict[int, Position] = {}
    for batch in store.read_batches(recovered[-1].position):
        for each in batch:
            if each.occurred_at is not None:
                places.setdefault(to_ms(each.occurred_at), each.position)
    return {each: places[ms_of(each)] for each in positions if ms_of(each) in places}


def _named_by(recorded: RecordedEvent) -> set[str]:
    """The positions of other events that an event names."""
    named = set() if recorded.cause is None else {recorded.cause}
    return named | ({recorded.data.position} if isinstance(recorded.data, EventAnnotated) else set())


def _fates_of_tasks(store: EventStore, gone: Sequence[RecordedEvent]) -> Iterator[GoneEvent]:
    of_tasks: dict[str, list[RecordedEvent]] = {}
    for recorded in gone:
        if recorded.task != TOWN_ID:
            of_tasks.setdefault(recorded.task, []).append(recorded)
    for task_id, events in of_tasks.items():
        try:
            history = store.history(task_id)
        except LedgerDamagedError as damage:
            yield from (_gone(recorded, Fate.DAMAGED, why=str(damage)) for recorded in events)
        else:
            yield from _fates_of(events, history)


def _fates_of(events: Sequence[RecordedEvent], history: Sequence[RecordedEvent]) -> Iterator[GoneEvent]:
    """What happens to events of one task, whose history in the ledger is `history`. Pure."""
    task: Task | None = fold_task(history)
    by_version = {recorded.version: recorded for recorded in history}
    version, overtaken = len(history), None
    for recorded in sorted(events, key=lambda each: (each.version, order_of(each.at))):
        there = by_version.get(recorded.version)
        if there is not None and there.at == recorded.at:
            overtaken = overtaken or there.position
            yield _gone(
                recorded,
                Fate.OVERTAKEN,
                now=there.position,
                why="the ledger has it in other words than were acknowledged",
            )
            continue
        if there is not None and _is_same(recorded, there):
            yield _gone(recorded, Fate.THERE, now=there.position)
            continue
        if there is not None:
            overtaken = overtaken or there.position
            why = f"event {there.position.seq:,} of another command is now version {recorded.version} of its task"
            yield _gone(recorded, Fate.OVERTAKEN, now=there.position, why=why)
        elif overtaken is not None:
            why = f"it followed an event whose place event {overtaken.seq:,} of another command took"
            yield _gone(recorded, Fate.OVERTAKEN, now=overtaken, why=why)
        elif recorded.version != version + 1:
            missing = _numbers(version + 1, recorded.version - 1)
            why = f"{missing} of its task {'are' if 'to' in missing else 'is'} missing, and this machine does not know them"
            yield _gone(recorded, Fate.WAITING, why=why)
        elif (flaw := flaw_of(task, recorded)) is not None:
            overtaken = history[-1].position if history else BEGINNING
            yield _gone(recorded, Fate.OVERTAKEN, now=overtaken, why=flaw)
        else:
            task, version = evolve_known(task, recorded), version + 1
            yield _gone(recorded, Fate.APPENDED)


def _fates_of_town(
    store: EventStore, gone: Sequence[RecordedEvent], fates: Mapping[Position, GoneEvent], nowhere: frozenset[str]
) -> Iterator[GoneEvent]:
    """The town's own events stand on nothing, so they are counted anew; but a note has to be on an event that is there.

    `fates` has those of the other events, and takes these in.
    """
    events = [recorded for recorded in gone if recorded.task == TOWN_ID]
    if not events:
        return
    try:
        there = {(each.command, each.type): each.position for each in store.history_back(TOWN_ID)}
    except LedgerDamagedError as damage:
        yield from (_gone(recorded, Fate.DAMAGED, why=str(damage)) for recorded in events)
        return
    for recorded in events:
        now = there.get((recorded.command, recorded.type))
        noted = recorded.data.position if isinstance(recorded.data, EventAnnotated) else ""
        on = fates.get(Position(noted))
        if now is not None:
            yield _gone(recorded, Fate.THERE, now=now)
        elif recorded.type == "town.forked":
            why = "it is true only right after what the town has in common with another"
            yield _gone(recorded, Fate.OVERTAKEN, why=why)
        elif noted in nowhere or (on is not None and on.fate is Fate.WAITING):
            yield _gone(recorded, Fate.WAITING, why="the event that it is a note on is missing")
        elif on is not None and on.fate in REMAINS:
            yield _gone(recorded, Fate.OVERTAKEN, why="the event that it is a note on cannot be appended")
        else:
            yield _gone(recorded, Fate.APPENDED)


def _is_same(recorded: RecordedEvent, there: RecordedEvent) -> bool:
    return (recorded.command, recorded.type) == (there.command, there.type)


def _decoded(event: KeptEvent) -> RecordedEvent:
    """EventDecodingError for an event of a newer program."""
    return decode_event(event.at.encode(), [b"event", event.payload])


def _gone(recorded: RecordedEvent, fate: Fate, *, now: Position | None = None, why: str | None = None) -> GoneEvent:
    return GoneEvent(
        position=recorded.position,
        type=recorded.type,
        task=recorded.task,
        version=recorded.version,
        actor=recorded.actor,
        fate=fate,
        now=now,
        why=why,
    )


def _numbers(first: int, last: int) -> str:
    return f"version {first:,}" if first == last else f"versions {first:,} to {last:,}"
