"""Which events no command can make: what `decide` makes never is one, and what it cannot make in a state always is."""

from __future__ import annotations

from copy import copy

import pytest
from hypothesis import assume, given

from ledger import (
    EVENT_CLASSES,
    CommandRejectedError,
    Event,
    LinkKind,
    NewEvent,
    Position,
    State,
    Task,
    TaskAdopted,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCreated,
    TaskDamagedError,
    TaskDescribed,
    TaskLinked,
    TaskNoted,
    TaskPrioritised,
    TaskTagged,
    TaskUnlinked,
    decide,
    evolve,
    flaw_in,
    flaw_of,
    record,
)
from ledger.recorded_event import decode_events, encode_event
from tests.property.histories import Driver, Wish, wish_lists
from tests.property.strategies import new_events, positions, tasks
from tests.support.builders import a_task_in, an_event, task_id
from tests.support.legality import LEGAL_IN

NOW = Position.of(ms=1_795_398_600_000, seq=42)
FACTS = [event_class for event_class in EVENT_CLASSES if event_class is not TaskAdopted]


def a_fact(fact: type[Event]) -> Event:
    made: dict[type[Event], Event] = {
        TaskCreated: TaskCreated("x"),
        TaskAssigned: TaskAssigned("bob"),
        TaskDescribed: TaskDescribed("x"),
        TaskNoted: TaskNoted("x"),
        TaskPrioritised: TaskPrioritised(0),
        TaskLinked: TaskLinked(LinkKind.NEEDS, task_id(1)),
        TaskUnlinked: TaskUnlinked(LinkKind.NEEDS, task_id(1)),
        TaskAsked: TaskAsked("x"),
        TaskAnswered: TaskAnswered("x"),
    }
    return made.get(fact) or fact()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.type)
def test_event_is_damage_exactly_where_the_machine_does_not_allow_it(fact: type[Event], state: State) -> None:
    """For every state and event: `evolve` marks the task where DESIGN's table, written down a second time, has no such step."""
    task = a_task_in(state, question="Which?")
    recorded = record(an_event(a_fact(fact), task=task.id, version=2), NOW)
    is_legal = str(state) in LEGAL_IN[fact]
    assert (flaw_of(task, recorded) is None) == is_legal
    after = evolve(copy(task), recorded)
    assert (after is not None and after.damaged_at == NOW) == (not is_legal)


@given(wish_lists)
def test_what_decide_makes_is_never_damage(wished: list[Wish]) -> None:
    """Every event of every command, wherever commands have led the task before."""
    driver = Driver()
    for wish in map(driver.settle, wished):
        state = copy(driver.board.get(wish.task))
        try:
            appended = driver.execute(wish)
        except CommandRejectedError:
            continue
        for recorded in appended:
            assert flaw_of(state, recorded) is None, recorded
            state = evolve(state, recorded)
    assert all(task.damaged_at is None for task in driver.board.tasks.values())


@given(new_events, positions)
def test_sound_values_are_sound_when_they_are_read_back(event: NewEvent, position: Position) -> None:
    """Whatever texts, names and tags a command takes: nothing is wrong with the event by itself."""
    data = event.data
    assume(event.task not in (getattr(data, "parent_id", None), getattr(data, "to", None)))
    assume(not (isinstance(data, TaskTagged) and set(data.added) & set(data.removed)))
    entry = (position.encode(), [b"event", encode_event(event)])
    [recorded] = decode_events([entry])
    assert flaw_in(recorded) is None


@given(wish_lists.filter(bool), tasks())
def test_damaged_task_takes_no_command(wished: list[Wish], task: Task) -> None:
    """Whatever is wished: the refusal names the position."""
    task.damaged_at = str(NOW)
    for wish in wished:
        with pytest.raises(TaskDamagedError, match=NOW):
            decide(task, Driver().command(wish))
