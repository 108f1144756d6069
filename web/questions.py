"""What else can be asked: one task's past, the past of all, and what waits. Each answer is the command line's `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from ledger import RecordedEvent, State
from projections import TaskFilter
from shapes import (
    events_shape,
    history_shape,
    next_shape,
    open_shape,
    reader_shape,
    understood_shape,
)
from shapes.audit import blame_shape, diff_shape
from shapes.questions import inbox_shape
from shapes.ready import blocked_shape, ready_shape
from shapes.search import found_shape
from shapes.stats import stats_shape
from town import DAY, Annotation, EventFilter, Reader, Title, Town
from web.answers import Answer
from web.endpoints import Asked, AtGiven, Endpoint, Given
from web.reads import PAGE_TASKS, Limit, Offset, shown_position

LOG_EVENTS: Final = 50
LOG_EVENTS_MAX: Final = 1_000
INBOX_TASKS: Final = 100
AGENT_TASKS: Final = 50
BLOCKS_SHOWN: Final = 5
"""Of each blocked task."""


class DiffGiven(Given, frozen=True, kw_only=True):
    """Two moments, and whose tasks."""

    from_: Annotated[str, Meta(description="The first moment.")] = field(name="from")
    to: Annotated[str, Meta(description="The second moment.")] = "now"
    task: str | None = None
    agent: str | None = None
    tag: str | None = None


class LogGiven(Given, frozen=True, kw_only=True):
    """Which events, newest first."""

    before: str | None = None
    since: str | None = None
    until: str | None = None
    task: str | None = None
    actor: str | None = None
    type: str | None = None
    limit: Annotated[int, Meta(ge=1, le=LOG_EVENTS_MAX)] = LOG_EVENTS


class ReadyGiven(AtGiven, frozen=True, kw_only=True):
    """Ready tasks: whose, with which tags."""

    agent: str | None = None
    tag: tuple[str, ...] = ()
    offset: Offset = 0
    limit: Limit = PAGE_TASKS


class PageGiven(AtGiven, frozen=True, kw_only=True):
    """A page."""

    offset: Offset = 0
    limit: Limit = PAGE_TASKS


class SearchGiven(PageGiven, frozen=True, kw_only=True):
    """Words that all stand in a task's texts."""

    q: str
    ever: bool = False


class StatsGiven(AtGiven, frozen=True, kw_only=True):
    """A period, and whose work."""

    since: str | None = None
    until: str | None = None
    agent: str | None = None


class Beside(Struct, frozen=True):
    """What is shown beside events."""

    flaws: Mapping[str, str]
    notes: Mapping[str, Sequence[Annotation]]
    titles: Mapping[str, Title]

    @classmethod
    def of(cls, town: Town, events: Sequence[RecordedEvent]) -> Beside:
        return cls(town.find_flaws(events), town.annotations(events), town.titles(each.task for each in events))


class _Open(Struct, frozen=True):
    """Some of an agent's open tasks, those that run first."""

    agent: str | None
    tasks: Sequence[object]
    total: int
    running: int

    @property
    def more(self) -> int:
        return max(self.total - len(self.tasks), 0)


def history(asked: Asked, given: AtGiven) -> Answer:
    reader, _ = asked.at(given.at)
    position = shown_position(asked.town, reader)
    found = reader.history(asked.task)
    notes = reader.annotations(step.event for step in found)
    return Answer(history_shape(asked.town, found[0].event.task, found, notes), position)


def blame(asked: Asked, given: AtGiven) -> Answer:
    reader, when = asked.at(given.at)
    position = shown_position(asked.town, reader)
    task, blamed = reader.blame(asked.task)
    return Answer(blame_shape(asked.town, reader, task, blamed, at=when), position)


def diff(asked: Asked, given: DiffGiven) -> Answer:
    first, second = asked.when(given.from_, name="from"), asked.when(given.to, name="to")
    assert first is not None
    assert second is not None
    reader = asked.at(given.to)[0]
    limit = first.moment if first.event is None else first.event
    found = reader.diff(limit, task_id=given.task, agent=given.agent, tag=given.tag)
    return Answer(diff_shape(asked.town, found, a=first, b=second))


def log(asked: Asked, given: LogGiven) -> Answer:
    whens = {name: asked.when(getattr(given, name), name=name) for name in ("since", "until", "before")}
    limits = {name: None if each is None else each.event or each.moment for name, each in whens.items()}
    tasks = None if given.task is None else frozenset([asked.town.events.id_of(given.task)])
    wanted = EventFilter(tasks=tasks, actor=given.actor, type=given.type)
    page = asked.town.events.page(wanted, count=given.limit, **limits)
    beside = Beside.of(asked.town, page.events)
    return Answer(
        events_shape(asked.town, page.events, beside, **understood_shape(**whens), **next_shape(before=page.before))
    )


def ready(asked: Asked, given: ReadyGiven) -> Answer:
    reader, when = asked.at(given.at)
    page = reader.ready(agent=given.agent, tags=given.tag, limit=given.offset + given.limit)
    tasks = page.tasks[given.offset :]
    after = given.offset + len(tasks) if page.has_more else None
    shape = ready_shape(
        asked.town, reader, tasks, at=when, offset=given.offset, after=after, dependents=None, waiting=None
    )
    return Answer(shape)


def blocked(asked: Asked, given: PageGiven) -> Answer:
    reader, when = asked.at(given.at)
    position = shown_position(asked.town, reader)
    found = reader.blocked()
    shown = found[given.offset : given.offset + given.limit]
    after = given.offset + len(shown)
    shape = blocked_shape(
        asked.town,
        reader,
        shown,
        reader.since(shown, blocks_max=BLOCKS_SHOWN),
        blocks_max=BLOCKS_SHOWN,
        at=when,
        offset=given.offset,
        after=after if after < len(found) else None,
        total=len(found),
    )
    return Answer(shape, position)


def inbox(asked: Asked, given: AtGiven) -> Answer:
    reader, when = asked.at(given.at)
    found = reader.inbox(limit=INBOX_TASKS)
    lost = reader.lost_tasks() if found.running else None
    return Answer(inbox_shape(asked.town, reader, found, lost, at=when))


def agents(asked: Asked, given: AtGiven) -> Answer:
    reader, when = asked.at(given.at)
    groups = [
        group
        for name, counts in reader.count_agents().items()
        if (group := _open_of(reader, name, counts[State.RUNNING], counts[State.ASSIGNED])).total
    ]
    lost = reader.lost_tasks() if any(group.running for group in groups) else None
    return Answer(open_shape(asked.town, reader, groups, lost, at=when))  # type: ignore[arg-type]


def search(asked: Asked, given: SearchGiven) -> Answer:
    reader, when = asked.at(given.at)
    position = shown_position(asked.town, reader)
    found = reader.search(given.q.split(), is_ever=given.ever, offset=given.offset, limit=given.limit)
    shape = found_shape(asked.town, reader, found, at=when, is_ever=given.ever, offset=given.offset)
    return Answer(shape, position)


def stats(asked: Asked, given: StatsGiven) -> Answer:
    reader, when = asked.at(given.at)
    whens = {name: asked.when(getattr(given, name), name=name) for name in ("since", "until")}
    limits = {name: None if each is None else each.event or each.moment for name, each in whens.items()}
    report = reader.report(agent=given.agent, groupings=[(DAY,)], has_all=given.since is None, is_utc=True, **limits)
    moments = reader_shape(reader, when) | understood_shape(**whens)
    has_more = given.since is None and report.period.earlier > 0
    return Answer(stats_shape(asked.town, report, days=None, has_more=has_more, **moments))


def _open_of(reader: Reader, agent: str, running: int, assigned: int) -> _Open:
    tasks: list[object] = []
    for state, number in ((State.RUNNING, running), (State.ASSIGNED, assigned)):
        room = AGENT_TASKS - len(tasks)
        if number and room:
            tasks += reader.page(TaskFilter(state=state, agent=agent), limit=room).tasks
    return _Open(agent, tasks, running + assigned, running)


QUESTIONS: Final = (
    Endpoint("GET", "/tasks/{task}/history", AtGiven, history, "All events of a task, and what each changed."),
    Endpoint("GET", "/tasks/{task}/blame", AtGiven, blame, "The event that set each field of a task."),
    Endpoint("GET", "/diff", DiffGiven, diff, "What differs between two moments."),
    Endpoint("GET", "/log", LogGiven, log, "Events, newest first."),
    Endpoint("GET", "/ready", ReadyGiven, ready, "The tasks that can be begun, best first."),
    Endpoint("GET", "/blocked", PageGiven, blocked, "The tasks that are blocked, and by what."),
    Endpoint("GET", "/inbox", AtGiven, inbox, "What waits for a person."),
    Endpoint("GET", "/agents", AtGiven, agents, "Who works on what, and who is lost."),
    Endpoint("GET", "/search", SearchGiven, search, "Tasks by the words in their texts."),
    Endpoint("GET", "/stats", StatsGiven, stats, "What was created, completed and failed."),
)
