"""Activity: what happened to a town's tasks in a period, counted and timed from the events themselves.

A *round* of a task begins when the task is created or reopened, and ends when it is completed, failed or cancelled. Three
times are measured in a round, and every measurement is kept, so medians and percentiles are exact:

    lead    from the round's beginning to its end, completed or failed
    wait    from the round's beginning to its first start
    work    from the last start to the end, completed or failed

Events of damaged tasks count for nothing, as in the views. `count_activity` reads, the rest is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from ledger import (
    BEGINNING,
    Event,
    EventStore,
    HistoryBrokenError,
    HistoryCircularError,
    Position,
    RecordedEvent,
    State,
    Task,
    TaskAdopted,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    evolve,
    evolve_known,
    ms_of,
)
from projections.replay import ends_before, no_garbage_collection
from projections.stats import Durations

EVENTS_PER_HISTORY: Final = 40
"""Reading the history of one task takes about as long as folding this many events."""

Key = tuple[str | None, ...]
"""The day, the agent and the tag of a group, as far as the grouping asks for them."""


class Figures(Struct, frozen=True, kw_only=True):
    """What was counted and measured. `lead` and `work` were measured at ends, `wait` at first starts."""

    created: int
    adopted: int
    completed: int
    failed: int
    cancelled: int
    reopened: int
    requeued: int
    handed_over: int
    removed: int
    lead: Durations
    wait: Durations
    work: Durations

    @property
    def ended(self) -> int:
        """How many rounds were completed or failed."""
        return self.completed + self.failed


class _Tally(Struct):
    """Counts, and the measured times in milliseconds."""

    created: int = 0
    adopted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    reopened: int = 0
    requeued: int = 0
    handed_over: int = 0
    removed: int = 0
    lead: list[int] = []
    wait: list[int] = []
    work: list[int] = []


# For a fold, reading a member off its class is slow.
_PENDING: Final = State.PENDING

_Cell = tuple[str | None, str | None, tuple[str, ...]]
"""The day, the agent and the tags that an event counts for."""


class Activity:
    """Counts events as they come. What a count belongs to:

    a creation to its actor; a start, an end, and what is given back, taken over or reopened to the agent who had the task
    right before; each to the day of its event, and to the tags that the task had then.

    `day_of` gives the day of a time in milliseconds; without it, days are not told apart. `has_tags` tells tags apart.
    `agent` keeps only what belongs to that agent.
    """

    def __init__(
        self, *, day_of: Callable[[int], str] | None = None, has_tags: bool = False, agent: str | None = None
    ) -> None:
        self._day_of = day_of
        self._has_tags = has_tags
        self._agent = agent
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.events = 0
        """How many events were taken in and counted, whatever they count for."""
        self._tasks: dict[str, Task | None] = {}
        # Only of rounds that did not begin with the task's creation.
        self._reopened_ms: dict[str, int] = {}
        self._started: set[str] = set()
        self._cells: dict[_Cell, _Tally] = {}

    def unknown(self, events: Iterable[RecordedEvent]) -> dict[str, str]:
        """As `ends_before`, for tasks that are met for the first time."""
        return ends_before(events, self._tasks)

    def take_before(self, events: Iterable[RecordedEvent]) -> None:
        """Take in events from before the period: they only say how the tasks are at its beginning."""
        counted, self._cells = self._cells, {}
        for recorded in events:
            self._step(recorded)
        self._cells = counted

    def take(self, events: Sequence[RecordedEvent]) -> None:
        """Take in and count events of the period, in their order."""
        for recorded in events:
            self._step(recorded)
        self.events += len(events)

    def total(self) -> Figures:
        """All that was counted. A task with several tags counts once."""
        return _figures(self._cells.values())

    def by(self, *, day: bool = False, agent: bool = False, tag: bool = False) -> dict[Key, Figures]:
        """What was counted for each day, agent or tag, or for each of their combinations, in no order.

        A task counts for each of its tags; the tag None is for tasks without one, the agent None for events of nobody's task.
        """
        groups: dict[Key, list[_Tally]] = {}
        for (of_day, of_agent, tags), tally in self._cells.items():
            for of_tag in (tags or (None,)) if tag else (None,):
                key = (*([of_day] if day else []), *([of_agent] if agent else []), *([of_tag] if tag else []))
                groups.setdefault(key, []).append(tally)
        return {key: _figures(tallies) for key, tallies in groups.items()}

    def _step(self, recorded: RecordedEvent) -> None:
        task_id, fact = recorded.task, type(recorded.data)
        before = self._tasks.get(task_id)
        if before is None:
            made = self._tasks[task_id] = evolve_known(None, recorded)
            if made is not None:
                self._begin(made, recorded)
            return
        # The event may clear these.
        agent, state, tags = before.assigned_to, before.state, before.tags
        task = evolve(before, recorded)
        if task is None:
            self._tasks[task_id] = None
            self._tally(ms_of(recorded.at), agent, tags).removed += 1
        elif fact is TaskAssigned:
            # Mostly the first agent, which is no hand-over.
            if agent is not None and state is not _PENDING and agent != task.assigned_to and task.damaged_at is None:
                self._tally(ms_of(recorded.at), agent, tags).handed_over += 1
        elif fact in _HEEDED and task.damaged_at is None:
            self._count(task, fact, ms_of(recorded.at), agent, tags)

    def _count(self, task: Task, fact: type[Event], ms: int, agent: str | None, tags: tuple[str, ...]) -> None:
        """Count a start, an end, a return to the backlog or a reopening; `task` is the task after it."""
        if fact is TaskStarted:
            if task.id not in self._started:
                self._started.add(task.id)
                self._tally(ms, agent, tags).wait.append(self._since_begun(task, ms))
            return
        tally = self._tally(ms, agent, tags)
        name = _COUNT_OF[fact]
        setattr(tally, name, getattr(tally, name) + 1)
        if fact is TaskCompleted or fact is TaskFailed:
            tally.lead.append(self._since_begun(task, ms))
            if task.started_at_ms is not None:
                tally.work.append(max(ms - task.started_at_ms, 0))
        elif fact is TaskReopened:
            self._reopened_ms[task.id] = ms
            self._started.discard(task.id)

    def _begin(self, task: Task, recorded: RecordedEvent) -> None:
        """The task is new here, or is back."""
        if recorded.version > 1:
            self._reopened_ms.pop(task.id, None)
            self._started.discard(task.id)
        tally = self._tally(ms_of(recorded.at), recorded.actor, task.tags)
        if type(recorded.data) is TaskAdopted:
            tally.adopted += 1
            if task.started_at_ms is not None:
                self._started.add(task.id)
        else:
            tally.created += 1

    def _since_begun(self, task: Task, ms: int) -> int:
        """How long the task's round has lasted. The times of an adopted record may lie in the future."""
        return max(ms - self._reopened_ms.get(task.id, task.created_at_ms), 0)

    def _tally(self, ms: int, agent: str | None, tags: tuple[str, ...]) -> _Tally:
        if self._agent is not None and agent != self._agent:
            return _Tally()
        cell = (None if self._day_of is None else self._day_of(ms), agent, tags if self._has_tags else ())
        found = self._cells.get(cell)
        if found is None:
            found = self._cells[cell] = _Tally()
        return found


_COUNT_OF: Final[Mapping[type[Event], str]] = {
    TaskCompleted: "completed",
    TaskFailed: "failed",
    TaskCancelled: "cancelled",
    TaskRequeued: "requeued",
    TaskReopened: "reopened",
}
_HEEDED: Final = frozenset({TaskStarted, *_COUNT_OF})
"""The facts that count, besides hand-overs and those that create or remove a task."""


def count_activity(store: EventStore, activity: Activity, *, after: Position, upto: Position) -> None:
    """Count the events behind `after`, up to `upto`, both positions of events or BEGINNING. LedgerDamagedError.

    Reads those events, and of each task that is older its history before them. Where that would take longer than reading
    the ledger from its beginning, it does that.
    """
    with no_garbage_collection():
        if after != BEGINNING:
            if _count_with_histories(store, activity, after=after, upto=upto):
                return
            activity.forget()
            for batch in store.read_batches(upto=after):
                activity.take_before(batch)
        for batch in store.read_batches(after, upto=upto):
            activity.take(batch)


def _count_with_histories(store: EventStore, activity: Activity, *, after: Position, upto: Position) -> bool:
    """Whether all events were counted. If not, there are too many histories to read, or one is broken."""
    histories_left = after.seq // EVENTS_PER_HISTORY
    for batch in store.read_batches(after, upto=upto):
        unknown = activity.unknown(batch)
        histories_left -= len(unknown)
        if histories_left < 0:
            return False
        try:
            histories = store.histories_upto(unknown)
        except (HistoryBrokenError, HistoryCircularError):
            return False
        for history in histories.values():
            activity.take_before(history)
        activity.take(batch)
    return True


def _figures(tallies: Iterable[_Tally]) -> Figures:
    """The sum of counts, and the quantiles of all times together."""
    tallies = list(tallies)
    figures: dict[str, Any] = {name: sum(getattr(each, name) for each in tallies) for name in _COUNTS}
    for name in _TIMES:
        figures[name] = durations([ms for each in tallies for ms in getattr(each, name)])
    return Figures(**figures)


_TIMES: Final = ("lead", "wait", "work")
_COUNTS: Final = tuple(name for name in Figures.__struct_fields__ if name not in _TIMES)


def durations(measured: list[int]) -> Durations:
    """Count and exact quantiles, by nearest rank, of measured milliseconds, which it sorts."""
    measured.sort()
    count = len(measured)
    median, p90 = (measured[-(-count * percent // 100) - 1] if count else None for percent in (50, 90))
    return Durations(count, median, p90)


NO_FIGURES: Final = _figures(())
"""Nothing counted, nothing measured."""
