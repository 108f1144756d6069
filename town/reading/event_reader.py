"""Reads a town's events: the last ones, new ones, and the positions of moments that users name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from ledger import BEGINNING, EventStore, Position, RecordedEvent, TaskAdopted, TaskCreated, steps, to_ms
from town.errors import MomentError
from town.reading.event_filter import EVERY_EVENT, EventFilter
from town.reading.local_zone import in_local_zone, local_time
from town.reading.moment import CREATED, HeadBack, Moment, MomentSyntaxError, Now, StateEntered
from town.reading.references import References

if TYPE_CHECKING:
    from town.reading.event_search import EventPage

FOLLOW_BLOCK_MS: Final = 1_000
EVENTS_COUNT: Final = 20


class EventReader:
    """Reads one town's ledger for users. Without `references`, tasks are named by id only."""

    def __init__(self, store: EventStore, references: References | None = None) -> None:
        self._store = store
        self._references = references

    def end(self) -> Position:
        """The position of the last event; BEGINNING if there is none."""
        return self._store.end()

    def last(
        self,
        wanted: EventFilter = EVERY_EVENT,
        *,
        count: int | None = EVENTS_COUNT,
        task_id: str | None = None,
        since: Moment | str | None = None,
        until: Moment | str | None = None,
    ) -> list[RecordedEvent]:
        """The last `count` events that match (None: all), oldest first; of one `task`, from `since` to `until`, both in."""
        if task_id is not None:
            wanted = replace(wanted, tasks=frozenset([self._id(task_id)]))
        return list(self.page(wanted, count=count, since=since, until=until).events[::-1])

    def page(
        self,
        wanted: EventFilter = EVERY_EVENT,
        *,
        count: int | None = EVENTS_COUNT,
        since: Moment | str | None = None,
        until: Moment | str | None = None,
        before: Moment | str | None = None,
    ) -> EventPage:
        """The last `count` events that match (None: all), newest first, from `since` to `until`, both in, and before `before`.

        The page's own `before` gives the next page. MomentError, LedgerDamagedError.
        """
        from town.reading.event_search import EventPage  # noqa: PLC0415 - few commands look for events

        return EventPage.of(self.search(wanted, since=since, until=until, before=before), count)

    def search(
        self,
        wanted: EventFilter = EVERY_EVENT,
        *,
        since: Moment | str | None = None,
        until: Moment | str | None = None,
        before: Moment | str | None = None,
    ) -> Iterator[RecordedEvent]:
        """As `page`, all of them, read only as far as the caller goes."""
        from town.reading.event_search import search_events  # noqa: PLC0415 - as above

        after, upto = self.range_of(since, until)
        if before is not None:
            upto = min(upto, self._position_before(before))
        return search_events(self._store, wanted, after=after, upto=upto)

    def follow(
        self, wanted: EventFilter = EVERY_EVENT, *, task_id: str | None = None, after: Position | None = None
    ) -> Iterator[RecordedEvent]:
        """Events that match, as they arrive, from behind `after` (None: the end). It goes on until the caller stops."""
        return (each for batch in self.follow_batches(wanted, task_id=task_id, after=after) for each in batch)

    def follow_batches(
        self, wanted: EventFilter = EVERY_EVENT, *, task_id: str | None = None, after: Position | None = None
    ) -> Iterator[list[RecordedEvent]]:
        """As `follow`, but in lists.

        Without events it yields an empty list every FOLLOW_BLOCK_MS. So the caller gets a turn to stop.
        TaskNotFoundError at the call. LedgerClosedError once the town has moved, EventsLostError once events are gone.
        """
        return self._batches(wanted, None if task_id is None else self._id(task_id), after)

    def _batches(
        self, wanted: EventFilter, task_id: str | None, after: Position | None
    ) -> Iterator[list[RecordedEvent]]:
        from town.reading.event_search import HolderLookup  # noqa: PLC0415 - as above

        position = self._store.end() if after is None else after
        lookup = None if wanted.agent is None else HolderLookup(self._store, wanted.agent)
        while True:
            for batch in self._store.read_batches(position):
                position = batch[-1].position
                found = [each for each in batch if task_id in (None, each.task) and wanted.matches(each)]
                yield found if lookup is None else lookup.concerned(found)
            if not self._store.wait(position, block_ms=FOLLOW_BLOCK_MS):
                # Nothing comes any more where the town has moved away, or where its events are gone.
                self._store.end()
                yield []

    def position_at(self, moment: Moment | str) -> Position:
        """The position of the last event at or before `moment`. Now is the end, BEGINNING in an empty ledger.

        MomentError: it is not a moment, is in the future, or is before the first event; the message says which range exists.
        TaskNotFoundError, TaskAmbiguousError if it names a task.
        """
        asked = as_moment(moment)
        if isinstance(asked, datetime):
            return self._position_at_time(asked)
        if isinstance(asked, StateEntered):
            return self._position_entered(asked)
        end = self._store.end()
        if asked is Now.NOW:
            return end
        if asked == BEGINNING:
            return BEGINNING
        if isinstance(asked, Position):
            if not self._store.has(asked):
                raise MomentError(f"Position {asked}", "is not an event of this town", known_moments(self._store))
            return asked
        number = end.seq - asked.events if isinstance(asked, HeadBack) else asked
        position = self._store.position_of(number)
        if position is None:
            if isinstance(asked, HeadBack):
                raise MomentError(f"HEAD~{asked.events}", "is before the first event", known_moments(self._store))
            raise MomentError(f"Event {asked}", "is not in this town", known_moments(self._store))
        return position

    def _position_at_time(self, time: datetime) -> Position:
        self._check_come(time)
        position = self._store.end_at(to_ms(time))
        if position == BEGINNING:
            raise MomentError(local_time(time), "is before the first event", known_moments(self._store))
        return position

    def _check_come(self, time: datetime) -> None:
        if time.tzinfo is None:
            raise MomentError(time.isoformat(), "has no time zone", known_moments(self._store))
        # The server's clock may be ahead of ours: its last event's time has come.
        if time > datetime.now(UTC) and time > self._store.end().time:
            raise MomentError(local_time(time), "has not come yet", known_moments(self._store))

    def _position_entered(self, asked: StateEntered) -> Position:
        """The position of the last event by which the task entered the state. MomentError."""
        task_id = self._id(asked.reference)
        found: Position | None = None
        states: list[str] = []
        for step in steps(self._store.history(task_id)):
            entered = [str(change.after) for change in step.changes if change.field == "state" and change.after]
            is_made = isinstance(step.event.data, TaskCreated | TaskAdopted)
            if asked.entered in entered or (is_made and asked.entered == CREATED):
                found = step.event.position
            states += entered
        if found is None:
            problem = f"is not a moment of this town: the task was never {asked.entered}"
            known = (
                f"It was {', '.join(dict.fromkeys(states))}." if states else f"There is no event of {asked.reference}."
            )
            raise MomentError(f"@{asked.reference}:{asked.entered}", problem, known)
        return found

    def range_of(self, since: Moment | str | None, until: Moment | str | None) -> tuple[Position, Position]:
        """The positions before the first event from `since` on, and of the last one up to `until`. None: no bound. MomentError."""
        after = BEGINNING if since is None else self._position_before(since)
        return after, self._store.end() if until is None else self.position_at(until)

    def id_of(self, task: str) -> str:
        """The id of a task by id, prefix or alias; the task may be removed. TaskNotFoundError, TaskAmbiguousError."""
        return self._id(task)

    def beginning(self) -> Position:
        """The position of the first event; BEGINNING if there is none."""
        return self._store.start()

    def first_after(self, moment: Moment | str) -> Position:
        """The position of the first event at or after `moment`; BEGINNING if there is none."""
        return self._store.position_of(self._position_before(moment).seq + 1) or BEGINNING

    def _position_before(self, moment: Moment | str) -> Position:
        """The position of the last event before `moment`; BEGINNING if there is none. Every event is before now."""
        asked = as_moment(moment)
        if asked is Now.NOW:
            return self._store.end()
        if isinstance(asked, datetime):
            self._check_come(asked)
            return self._store.end_at(to_ms(asked) - 1)
        number = self.position_at(asked).seq
        return self._store.position_of(number - 1) or BEGINNING

    def _id(self, reference: str) -> str:
        return reference if self._references is None else self._references.resolve(reference, is_removed_too=True)


def as_moment(moment: Moment | str) -> Moment:
    """The moment that was given, or that the text names. MomentError."""
    if isinstance(moment, Position) or not isinstance(moment, str):
        return moment
    from town.reading.when import parse_moment  # noqa: PLC0415 - `tt` hands over what it has understood

    try:
        return parse_moment(moment, now=in_local_zone(datetime.now(UTC)))
    except MomentSyntaxError as error:
        raise MomentError(error.shown, error.problem, MomentSyntaxError.ADVICE) from error


def known_moments(store: EventStore) -> str:
    """The moments that this town has, for an error."""
    first, end = store.start(), store.end()
    if end == BEGINNING:
        return "This town has no events yet."
    if first == end:
        return f"This town has one event, at {local_time(end.time)}."
    return f"The events of this town are {first.seq} to {end.seq}, from {local_time(first.time)} to {local_time(end.time)}."
