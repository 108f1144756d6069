"""Finds a town's events that match a filter, newest first, and reads no more of the ledger than the caller takes.

Most of what does not match is never decoded (`event_sieve`). Who had a task when an event happened stands in that task's
earlier events, which are looked up by their positions. docs/decisions/0036.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from ledger import EventStore, HistoryBrokenError, HistoryCircularError, Position, RecordedEvent, seq_of
from town.reading.event_filter import EventFilter, Holders, holder_set_by, sets_holder
from town.reading.event_sieve import GivingSieve, Sieve

FIRST_EVENTS: Final = 250
SCAN_EVENTS: Final = 1_000
TASKS_READ_MAX: Final = 1_000
HISTORY_EVENTS_MAX: Final = 20_000
"""Up to so many tasks and events, histories are read instead of the ledger."""
HOLDERS_LOOKED_UP_MAX: Final = 2_000
"""After so many events whose holder had to be looked up, the ledger is read for the tasks that the agent ever had."""
LOOKUP_ROUNDS_MAX: Final = 16
"""After so many round trips, the histories of the tasks that are left are read whole."""


class EventPage(Struct, frozen=True):
    """Some of the events that match, newest first. `before` is where the next page begins; None if there are no more."""

    events: tuple[RecordedEvent, ...]
    before: Position | None

    @classmethod
    def of(cls, events: Iterator[RecordedEvent], count: int | None) -> EventPage:
        """The first `count` of the events (None: all)."""
        found = list(islice(events, None if count is None else count + 1))
        if count is None or len(found) <= count:
            return cls(tuple(found), None)
        return cls(tuple(found[:count]), found[count - 1].position if count else None)

    @property
    def has_more(self) -> bool:
        return self.before is not None


def search_events(
    store: EventStore, wanted: EventFilter, *, after: Position, upto: Position
) -> Iterator[RecordedEvent]:
    """The events that match behind `after` up to the one at `upto`, newest first. LedgerDamagedError."""
    if upto <= after or wanted.tasks == frozenset():
        return iter(())
    return _Search(store, wanted, after).run(upto)


class _Search:
    def __init__(self, store: EventStore, wanted: EventFilter, after: Position) -> None:
        self._store = store
        self._wanted = wanted
        self._after = after

    def run(self, upto: Position) -> Iterator[RecordedEvent]:
        wanted = self._wanted
        if wanted.tasks is not None:
            events = self._in_histories(wanted.tasks, upto)
            if events is not None:
                yield from events
                return
        lookup = None if wanted.agent is None else HolderLookup(self._store, wanted.agent)
        for found, place in self._scan(Sieve(wanted), Position.of(ms=upto.ms, seq=upto.seq + 1)):
            yield from found if lookup is None else lookup.concerned(found)
            if lookup is not None and lookup.looked_up > HOLDERS_LOOKED_UP_MAX:
                yield from self._of_agent(lookup, place)
                return

    def _scan(self, sieve: Sieve, place: Position) -> Iterator[tuple[list[RecordedEvent], Position]]:
        """The events before `place` that match by themselves, newest first, and how far the scan is."""
        # The first ones are read alone: a caller that needs no more would leave a reply behind.
        events = self._store.read_back(place, limit=FIRST_EVENTS)
        found = [each for each in events if each.position > self._after]
        if not events:
            return
        place = events[-1].position
        yield [each for each in found if self._wanted.matches(each)], place
        if len(found) < len(events):
            return
        for entries in self._store.read_entries_back(place, after=self._after, limit=SCAN_EVENTS):
            kept = sieve.keep(entries)
            place = Position(entries[-1][0], "ascii")
            yield [each for each in self._store.decode(kept) if self._wanted.matches(each)], place

    def _of_agent(self, lookup: HolderLookup, before: Position) -> Iterator[RecordedEvent]:
        """The rest of the events, before `before`, of the tasks that the agent ever had, which are found first."""
        agent, giving = lookup.agent, GivingSieve(lookup.agent)
        tasks: set[str] = set()
        for entries in self._store.read_entries_back(before, limit=SCAN_EVENTS):
            for recorded in self._store.decode(giving.keep(entries)):
                if sets_holder(recorded) and holder_set_by(recorded) == agent:
                    tasks.add(recorded.task)
        if not tasks:
            return
        events = self._in_histories(tasks, before)
        if events is not None:
            yield from (recorded for recorded in events if recorded.position < before)
            return
        for found, _ in self._scan(Sieve(self._wanted, tasks=tasks), before):
            yield from lookup.concerned([recorded for recorded in found if recorded.task in tasks])

    def _in_histories(self, tasks: Iterable[str], upto: Position) -> Iterator[RecordedEvent] | None:
        """The events of these tasks that match, up to `upto`; None if reading the ledger is quicker."""
        ids = list(tasks)
        if len(ids) > TASKS_READ_MAX:
            return None
        heads = dict(zip(ids, self._store.heads(ids), strict=True))
        if len(ids) > 1 and sum(version for version, _ in heads.values()) > HISTORY_EVENTS_MAX:
            return None
        if len(ids) == 1 and self._wanted.agent is None:
            return self._in_history(ids[0], upto)
        ends = {task: str(position) for task, (version, position) in heads.items() if version}
        read = self._store.histories_upto(ends).values() if len(ends) > 1 else map(self._store.history, ends)
        return iter(self._matching([recorded for events in read for recorded in events], upto))

    def _in_history(self, task: str, upto: Position) -> Iterator[RecordedEvent]:
        """As `_in_histories`, of one task, read only as far as the caller goes."""
        for recorded in self._store.history_back(task):
            if recorded.position <= self._after:
                return
            if recorded.position <= upto and self._wanted.matches(recorded):
                yield recorded

    def _matching(self, events: list[RecordedEvent], upto: Position) -> list[RecordedEvent]:
        """Those that match, newest first, of all events of some tasks."""
        events.sort(key=lambda recorded: seq_of(recorded.at))
        agent, holders = self._wanted.agent, Holders()
        concerned = events if agent is None else [each for each in events if holders.concerns(each, agent)]
        return [
            each for each in reversed(concerned) if self._after < each.position <= upto and self._wanted.matches(each)
        ]


class HolderLookup:
    """Tells which events concern the task of an agent: it had the task before the event, or has it after it."""

    def __init__(self, store: EventStore, agent: str) -> None:
        self.agent = agent
        self.looked_up = 0
        self._store = store

    def concerned(self, events: Sequence[RecordedEvent]) -> list[RecordedEvent]:
        """Those of the events that concern a task of the agent, in their order. HistoryBrokenError."""
        unknown = [each for each in events if each.prev is not None and not self._is_given_by(each)]
        before = self._holders_before(unknown, known={each.at: each for each in events})
        return [each for each in events if self._is_given_by(each) or before.get(each.at) == self.agent]

    def _is_given_by(self, recorded: RecordedEvent) -> bool:
        return sets_holder(recorded) and holder_set_by(recorded) == self.agent

    def _holders_before(
        self, events: Sequence[RecordedEvent], known: Mapping[str, RecordedEvent]
    ) -> dict[str, str | None]:
        """Position -> who had the task right before the event there."""
        read = dict(known)
        holders: dict[str, str | None] = {}
        walks = {each.at: each for each in events}
        rounds = 0
        while walks:
            self._read_before(walks.values(), read, is_whole=rounds >= LOOKUP_ROUNDS_MAX)
            rounds += 1
            further: dict[str, RecordedEvent] = {}
            for at, recorded in walks.items():
                earlier = _earlier(recorded, read)
                if sets_holder(earlier) or earlier.prev is None:
                    holders[at] = holder_set_by(earlier) if sets_holder(earlier) else None
                else:
                    further[at] = earlier
            walks = further
        return holders

    def _read_before(self, events: Iterable[RecordedEvent], read: dict[str, RecordedEvent], *, is_whole: bool) -> None:
        """Read the event before each, unless it is `read`; `is_whole`: and all that come before it. HistoryBrokenError."""
        missing = {each.prev: each for each in events if each.prev is not None and each.prev not in read}
        for at, recorded in missing.items():
            if not _is_position(at):
                raise HistoryBrokenError(recorded.task, at)
        self.looked_up += len(missing)
        if is_whole:
            for task in dict.fromkeys(each.task for each in missing.values()):
                read |= {each.at: each for each in self._store.history_back(task)}
        elif missing:
            read |= {each.at: each for each in self._store.events_at([Position(at) for at in missing])}


def _earlier(recorded: RecordedEvent, read: Mapping[str, RecordedEvent]) -> RecordedEvent:
    """The same task's event before this one. HistoryBrokenError, HistoryCircularError."""
    earlier = read.get(recorded.prev or "")
    if earlier is None:
        raise HistoryBrokenError(recorded.task, recorded.prev or recorded.at)
    if seq_of(earlier.at) >= seq_of(recorded.at):
        # Numbers fall with each step back, or a walk would not end.
        raise HistoryCircularError(recorded.task, recorded.at)
    return earlier


def _is_position(text: str) -> bool:
    try:
        Position.parse(text)
    except ValueError:
        return False
    return True
