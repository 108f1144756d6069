"""What hypothesis draws: values, facts, events, wishes and commands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ledger import (
    DesiredTask,
    Event,
    LinkKind,
    NewEvent,
    Position,
    Schedule,
    State,
    Task,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
    format_ms,
)
from tests.support.builders import task_id

MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, beyond which no calendar here goes."""

# Any Unicode but NUL and lone surrogates.
texts: Final[SearchStrategy[str]] = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(str.strip)
names: Final[SearchStrategy[str]] = st.one_of(
    st.sampled_from(["worker-1", "worker-2", "Ada Lovelace", "名前"]),
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20).filter(str.isprintable),
)
tags: Final[SearchStrategy[tuple[str, ...]]] = st.lists(
    st.sampled_from(["a", "b", "two words", "type:bug", "é"]), unique=True
).map(lambda drawn: tuple(sorted(drawn)))
task_ids: Final[SearchStrategy[str]] = st.integers(1, 4).map(task_id)
positions: Final[SearchStrategy[Position]] = st.builds(
    lambda ms, seq: Position.of(ms=ms, seq=seq), st.integers(0, MS_MAX), st.integers(1, 10**9)
)
instants: Final[SearchStrategy[int]] = st.integers(0, MS_MAX)

priorities: Final[SearchStrategy[int]] = st.integers(0, 4)
choices: Final[SearchStrategy[tuple[str, ...]]] = st.lists(names, unique=True, max_size=3).map(tuple)
# Linked tasks are others than those that `task_ids` draws.
linked: Final[SearchStrategy[tuple[str, ...]]] = st.sets(st.integers(11, 13).map(task_id)).map(
    lambda drawn: tuple(sorted(drawn))
)

facts: Final[SearchStrategy[Event]] = st.one_of(
    st.builds(TaskCreated, texts, tags, st.none() | task_ids, st.none() | names),
    st.builds(TaskAssigned, names),
    st.builds(TaskStarted),
    st.builds(TaskCompleted, st.none() | texts),
    st.builds(TaskFailed, st.none() | texts),
    st.builds(TaskCancelled, st.none() | texts),
    st.builds(TaskRequeued),
    st.builds(TaskReopened),
    st.builds(TaskDescribed, texts),
    st.builds(TaskTagged, tags, tags),
    st.builds(TaskMoved, st.none() | task_ids),
    st.builds(TaskNoted, texts),
    st.builds(TaskPrioritised, priorities),
    st.builds(TaskScheduled, st.none() | instants.map(format_ms), st.none() | instants.map(format_ms)),
    st.builds(TaskLinked, st.sampled_from(LinkKind), task_ids),
    st.builds(TaskUnlinked, st.sampled_from(LinkKind), task_ids),
    st.builds(TaskAsked, texts, choices),
    st.builds(TaskAnswered, texts),
    st.builds(TaskRemoved),
)

# Milliseconds, UTC: what the format holds.
moments: Final[SearchStrategy[datetime]] = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    timezones=st.just(UTC),
).map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))

new_events: Final[SearchStrategy[NewEvent]] = st.builds(
    NewEvent,
    task=task_ids,
    version=st.integers(1, 10**6),
    actor=names,
    command=st.uuids().map(str),
    data=facts,
    reason=st.none() | texts,
    occurred_at=st.none() | moments,
)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A task in any state, with an agent, times and a result as such a state has."""
    state = draw(st.sampled_from(State))
    agents = {State.PENDING: st.none(), State.CANCELLED: st.none() | names}.get(state, names)
    return Task(
        id=draw(task_ids),
        description=draw(texts),
        state=state,
        created_at_ms=draw(instants),
        updated_at_ms=draw(instants),
        version=draw(st.integers(1, 10**6)),
        at=str(draw(positions)),
        assigned_to=draw(agents),
        started_at_ms=draw(st.none() | instants),
        completed_at_ms=draw(instants) if state.is_terminal else None,
        result=draw(st.none() | texts) if state.is_terminal else None,
        parent_id=draw(st.none() | task_ids),
        tags=draw(tags),
        alias=draw(st.none() | names),
        priority=draw(priorities),
        due_ms=draw(st.none() | instants),
        not_before_ms=draw(st.none() | instants),
        needs=draw(linked),
        discovered_from=draw(linked),
        created_number=draw(st.integers(1, 10**6)),
    )


@st.composite
def wishes(draw: st.DrawFn) -> DesiredTask:
    """A wish that a task can fulfil."""
    state = draw(st.sampled_from(State))
    agents = {State.PENDING: st.none(), State.CANCELLED: st.none() | names}.get(state, names)
    return DesiredTask(
        description=draw(texts),
        state=state,
        agent=draw(agents),
        tags=draw(tags),
        parent_id=draw(st.none() | task_ids),
        result=draw(st.none() | texts),
        priority=draw(st.none() | priorities),
        schedule=draw(st.none() | st.builds(Schedule, st.none() | instants, st.none() | instants)),
        links=draw(st.dictionaries(st.sampled_from(LinkKind), linked)),
    )
