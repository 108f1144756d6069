"""Flow: what happened to a town's tasks, kept in so few bytes that any moment's charts are counted from it.

Tasks are folded once, and as far as they were, a request reads on from there. Of each event that moved a task to another state
stay its number and a byte for what it was, from where and to where; of each finished task, how long it took.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from ledger import (
    BEGINNING,
    TOWN_ID,
    EventStore,
    Position,
    RecordedEvent,
    State,
    Task,
    TaskReopened,
    evolve,
    format_ms,
)
from projections import no_garbage_collection

_DAY_MS: Final = 86_400_000
_KINDS: Final = ("created", "completed", "failed", "cancelled", "reopened")
_CREATED, _REOPENED, _OTHER = 0, 4, len(_KINDS)
_ENDED: Final = {State.COMPLETED: 1, State.FAILED: 2, State.CANCELLED: 3}
_CODES: Final = {state: code for code, state in enumerate(State)}
_NOWHERE: Final = len(_CODES)
"""The state of a task that does not exist."""
_NEVER_STARTED: Final = -1


class Finished(Struct, frozen=True):
    """Tasks that were completed or failed, oldest first, as columns."""

    numbers: array[int]
    ms: array[int]
    lead_ms: array[int]
    cycle_ms: array[int]
    """-1 for one that was never started."""
    tasks: list[tuple[str, str]]
    """Id and title."""

    def rows(self) -> list[dict[str, Any]]:
        columns = zip(self.numbers, self.ms, self.lead_ms, self.cycle_ms, self.tasks, strict=True)
        return [
            {
                "number": number,
                "time": format_ms(ms),
                "lead_ms": lead_ms,
                "cycle_ms": None if cycle_ms == _NEVER_STARTED else cycle_ms,
                "task": task_id,
                "title": title,
            }
            for number, ms, lead_ms, cycle_ms, (task_id, title) in columns
        ]

    def part(self, part: slice) -> Finished:
        return Finished(*(getattr(self, name)[part] for name in self.__struct_fields__))

    def measured_cycles(self) -> list[int]:
        return [each for each in self.cycle_ms if each != _NEVER_STARTED]


class Flow:
    """One town's tasks, as far as its events were taken in."""

    def __init__(self) -> None:
        self.position = BEGINNING
        self._tasks: dict[str, Task] = {}
        self._begun_ms: dict[str, int] = {}
        self._days = array("Q")
        self._day_numbers = array("Q")
        self._day_starts = array("Q")
        self._numbers = array("Q")
        self._kinds, self._before, self._after = bytearray(), bytearray(), bytearray()
        self._finished = Finished(array("Q"), array("Q"), array("Q"), array("q"), [])

    def take(self, events: Sequence[RecordedEvent]) -> None:
        """Take in the next events, in their order. LedgerDamagedError: this is of no use any more."""
        for recorded in events:
            if recorded.task != TOWN_ID:
                self._step(recorded)
        self.position = events[-1].position

    def days(self, number: int) -> Iterator[dict[str, Any]]:
        """Each day with events of tasks until the event with this number, UTC: what happened, and what was open at its end."""
        count = bisect_right(self._day_numbers, number)
        edges = [*self._day_starts[:count], bisect_right(self._numbers, number)]
        open_now = [0] * len(_CODES)
        for day, (start, end) in zip(self._days[:count], pairwise(edges), strict=True):
            kinds, before, after = self._kinds[start:end], self._before[start:end], self._after[start:end]
            open_now = [open_now[code] + after.count(code) - before.count(code) for code in range(len(_CODES))]
            yield {
                "day": format_ms(day * _DAY_MS).partition("T")[0],
                **{name: kinds.count(code) for code, name in enumerate(_KINDS)},
                "open": {state.value: open_now[code] for state, code in _CODES.items()},
            }

    def finished(self, *, after: int, number: int) -> Finished:
        """The tasks that were finished after one event and until another one."""
        numbers = self._finished.numbers
        return self._finished.part(slice(bisect_right(numbers, after), bisect_right(numbers, number)))

    def _step(self, recorded: RecordedEvent) -> None:
        known = self._tasks.get(recorded.task)
        before, started_ms = (None, None) if known is None else (known.state, known.started_at_ms)
        task = evolve(known, recorded)
        self._note_day(recorded.position)
        if task is None:
            self._tasks.pop(recorded.task, None)
        else:
            self._tasks[recorded.task] = task
            _shorten(task)
        after = None if task is None else task.state
        if after is before:
            return
        kind = _kind_of(before, after, recorded)
        self._move(recorded, kind, before, after)
        if task is not None and kind in (_CREATED, _REOPENED):
            self._begun_ms[task.id] = recorded.position.ms
        elif task is not None and kind in (_ENDED[State.COMPLETED], _ENDED[State.FAILED]):
            self._finish(task, recorded.position, started_ms)

    def _move(self, recorded: RecordedEvent, kind: int, before: State | None, after: State | None) -> None:
        self._numbers.append(recorded.position.seq)
        self._kinds.append(kind)
        self._before.append(_NOWHERE if before is None else _CODES[before])
        self._after.append(_NOWHERE if after is None else _CODES[after])

    def _finish(self, task: Task, position: Position, started_ms: int | None) -> None:
        found = self._finished
        found.tasks.append((task.id, task.description))
        found.numbers.append(position.seq)
        found.ms.append(position.ms)
        found.lead_ms.append(max(position.ms - self._begun_ms[task.id], 0))
        found.cycle_ms.append(_NEVER_STARTED if started_ms is None else max(position.ms - started_ms, 0))

    def _note_day(self, position: Position) -> None:
        """Begin a day with its first event."""
        day = position.ms // _DAY_MS
        if not self._days or self._days[-1] != day:
            self._days.append(day)
            self._day_numbers.append(position.seq)
            self._day_starts.append(len(self._numbers))


class KeptFlow:
    """A town's flow, which reads on where it ended."""

    def __init__(self) -> None:
        self._flow = Flow()
        self._lock = threading.Lock()

    def upto(self, store: EventStore, position: Position, *, wait_seconds: float) -> Flow | None:
        """The flow with the events up to a position at least; None if others were at it for so long.

        LedgerDamagedError, StoreUnavailableError: all is read again the next time.
        """
        if not self._lock.acquire(timeout=wait_seconds):
            return None
        # What somebody else is counting from stays as it is.
        flow, self._flow = self._flow, Flow()
        try:
            if flow.position != BEGINNING and not store.has(flow.position):
                # The ledger is another one, such as an older one that was put back, and may have grown since.
                flow = Flow()
            if flow.position < position:
                with no_garbage_collection():
                    for batch in store.read_batches(flow.position, upto=position):
                        flow.take(batch)
            self._flow = flow
        finally:
            self._lock.release()
        return flow


def _kind_of(before: State | None, after: State | None, recorded: RecordedEvent) -> int:
    """What a move to another state counts as. Pure."""
    if before is None:
        return _CREATED
    if isinstance(recorded.data, TaskReopened):
        return _REOPENED
    return _OTHER if after is None else _ENDED.get(after, _OTHER)


def _shorten(task: Task) -> None:
    """Leave its title of a task's long texts: no chart shows them, and no event is judged by them."""
    task.description, task.result = task.title, None
