"""Charts: what happened on each day, how long tasks took, and how many were in each state, from a fold of the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from ledger import BEGINNING, TOWN_ID, Position, RecordedEvent, State, Task, TaskReopened, evolve
from projections import no_garbage_collection
from town import MomentError
from web.answers import Answer
from web.board import position_of
from web.endpoints import Asked, AtGiven, Endpoint
from web.problems import Problem

CHART_EVENTS_MAX: Final = 200_000
FINISHED_MAX: Final = 2_000
_PERCENTILES: Final = (50, 85, 95)
_COUNTED: Final = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}


class Flow:
    """The days of a town so far, UTC, and its finished tasks."""

    def __init__(self) -> None:
        self.days: list[dict[str, Any]] = []
        self.finished: list[dict[str, Any]] = []
        self._tasks: dict[str, Task | None] = {}
        self._begun_ms: dict[str, int] = {}
        self._states: Counter[State] = Counter()

    def take(self, events: Sequence[RecordedEvent]) -> None:
        """Take in the next events, in their order."""
        for recorded in events:
            if recorded.task != TOWN_ID:
                self._step(recorded)

    def _step(self, recorded: RecordedEvent) -> None:
        before = self._tasks.get(recorded.task)
        state, started_ms = (None, None) if before is None else (before.state, before.started_at_ms)
        after = self._tasks[recorded.task] = evolve(before, recorded)
        day = self._day(recorded)
        if state is not None:
            self._states[state] -= 1
        if after is not None:
            self._states[after.state] += 1
        day["open"] = {each.value: self._states[each] for each in State}
        if after is None:
            return
        if state is None:
            day["created"] += 1
            self._begun_ms[after.id] = recorded.position.ms
        elif isinstance(recorded.data, TaskReopened) and after.state is not state:
            day["reopened"] += 1
            self._begun_ms[after.id] = recorded.position.ms
        elif after.state is not state and after.state in _COUNTED:
            day[_COUNTED[after.state]] += 1
            if after.state is not State.CANCELLED:
                self._finish(after, recorded, started_ms)

    def _finish(self, task: Task, recorded: RecordedEvent, started_ms: int | None) -> None:
        ms = recorded.position.ms
        self.finished.append(
            {
                "number": recorded.position.seq,
                "time": recorded.position.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "lead_ms": max(ms - self._begun_ms[task.id], 0),
                "cycle_ms": None if started_ms is None else max(ms - started_ms, 0),
                "task": task.id,
                "title": task.title,
            }
        )

    def _day(self, recorded: RecordedEvent) -> dict[str, Any]:
        name = recorded.position.time.date().isoformat()
        if not self.days or self.days[-1]["day"] != name:
            self.days.append({"day": name, "created": 0, "completed": 0, "failed": 0, "cancelled": 0, "reopened": 0})
        return self.days[-1]


def figures(measured: Sequence[int]) -> dict[str, int | None]:
    """How many were measured, and exact percentiles by nearest rank. Pure."""
    ordered = sorted(measured)
    found = {f"p{each}": ordered[-(-len(ordered) * each // 100) - 1] if ordered else None for each in _PERCENTILES}
    return {"count": len(ordered), **found}


class ChartsGiven(AtGiven, frozen=True):
    """A period; what came before it is folded, and not shown."""

    since: str | None = None


def charts(asked: Asked, given: ChartsGiven) -> Answer:
    first = None if given.since is None else _start(asked, given.since)
    upto = asked.town.end()
    if given.at is not None:
        upto = asked.at(given.at)[0].then or upto
    if upto.seq > CHART_EVENTS_MAX:
        raise Problem(
            422,
            "Too many events for charts",
            f"Charts are made of at most {CHART_EVENTS_MAX:,} events, and these are {upto.seq:,}. `tt stats` counts them.",
        )
    flow = Flow()
    with no_garbage_collection():
        for batch in asked.town.backend.store.read_batches(upto=upto):
            flow.take(batch)
    days, finished = flow.days, flow.finished
    if first is not None:
        days = [each for each in days if first == BEGINNING or each["day"] >= first.time.date().isoformat()]
        finished = [each for each in finished if each["number"] > first.seq]
    shape = {
        "town": asked.town.name,
        "days": days,
        "lead": figures([each["lead_ms"] for each in finished]),
        "cycle": figures([each["cycle_ms"] for each in finished if each["cycle_ms"] is not None]),
        "finished": finished[-FINISHED_MAX:],
    }
    return Answer(shape, upto)


def _start(asked: Asked, since: str) -> Position | None:
    """The last event by then; None for a time before the town's first one."""
    try:
        return position_of(asked, since, name="since")
    except MomentError:
        return None


CHARTS: Final = (
    Endpoint(
        "GET", "/charts", ChartsGiven, charts, "Throughput, lead and cycle times, and tasks in each state by day."
    ),
)
