"""Undo on random histories: a command taken back is the board before it, and undo of that is the board after it."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import (
    CommandRejectedError,
    LinkKind,
    NewEvent,
    NotUndoableError,
    Position,
    RecordedEvent,
    Task,
    TaskAnswered,
    TaskAsked,
    TaskCreated,
    Undone,
    UndoOvertakenError,
    flaw_of,
    record,
    undo,
)
from ledger.task import fold
from tests.property.histories import Driver, Wish, long_wish_lists, wish_lists, wishes
from tests.support.legality import live

ASIDE = {
    "created_at_ms": 0,
    "updated_at_ms": 0,
    "started_at_ms": None,
    "completed_at_ms": None,
    "version": 0,
    "at": "",
    "created_number": 0,
    "asked_at_ms": None,
}
"""What an undo does not bring back: times, versions and positions, and with them a task's place by age."""
ALONE = (
    "description",
    "state",
    "assigned_to",
    "result",
    "parent_id",
    "alias",
    "priority",
    "question",
    "choices",
    "answer",
)
"""The fields that an undo leads back one by one. The two times go together, and each tag and link by itself."""


def but_times(task: Task | None) -> Task | None:
    return None if task is None else replace(task, **ASIDE)


def history_of(events: list[RecordedEvent], task: str) -> list[RecordedEvent]:
    return [recorded for recorded in events if recorded.task == task]


def appended(events: list[RecordedEvent], undone: Undone, command: str) -> list[RecordedEvent]:
    """The events with those that take the command back, as a town would append them."""
    found = list(events)
    for version, data in enumerate(undone.events, undone.version + 1):
        event = NewEvent(
            task=undone.task_id, version=version, actor="bob", command=command, data=data, cause=undone.cause
        )
        found.append(record(event, Position.of(ms=found[-1].position.ms + 1, seq=len(found) + 1)))
    return found


def told(wished: list[Wish]) -> Driver:
    driver = Driver()
    for wish in wished:
        tell(driver, wish)
    return driver


def tell(driver: Driver, wish: Wish) -> list[RecordedEvent]:
    try:
        return driver.execute(driver.settle(wish))
    except CommandRejectedError:
        return []


@given(wish_lists, wishes)
def test_undo_is_the_board_before_and_undo_of_that_the_board_after(wished: list[Wish], last: Wish) -> None:
    """Whatever the last command was, its task is as it was before it; taken back once more, as it was after it. Every step is legal."""
    driver = told(wished)
    before = copy(driver.board.get(last.task))
    made = tell(driver, last)
    assume(made)
    events, task = driver.events, last.task
    after = copy(driver.board.get(task))
    if is_said(made):
        with pytest.raises(NotUndoableError, match="that somebody may have read"):
            undo(history_of(events, task), made[-1].command)
        return
    undone = undo(history_of(events, task), made[-1].command)
    if undone is None:
        assert but_times(before) == but_times(after)
        return
    assert undone.cause == made[-1].position
    back = appended(events, undone, "undo")
    assert but_times(fold(history_of(back, task))) == but_times(before)
    redone = undo(history_of(back, task), "undo")
    assert redone is not None
    again = appended(back, redone, "redo")
    assert but_times(fold(history_of(again, task))) == but_times(after)
    live(recorded.data for recorded in history_of(again, task))
    assert_sound(history_of(again, task))


@given(wish_lists | long_wish_lists, st.data())
def test_undo_of_any_command_leaves_what_came_later_as_it_is(wished: list[Wish], data: st.DataObject) -> None:
    """A command in the middle is taken back, and what later events of its task changed stays; or it is refused and names one."""
    events = told(wished).events
    assume(events)
    chosen = data.draw(st.sampled_from(events))
    history = history_of(events, chosen.task)
    own = [recorded for recorded in history if recorded.command == chosen.command]
    before = fold([recorded for recorded in history if recorded.version < own[0].version])
    after = fold([recorded for recorded in history if recorded.version <= own[-1].version])
    now = fold(history)
    if is_said(own):
        return
    refusal, undone = attempted(history, chosen.command)
    if refusal is not None:
        later = [recorded.at for recorded in history if recorded.version > own[-1].version]
        assert refusal.position == own[-1].position
        assert refusal.later in later
        return
    if undone is None:
        assert but_times(before) == but_times(after)
        return
    then = fold(history_of(appended(events, undone, "undo"), chosen.task))
    assert_sound(history_of(appended(events, undone, "undo"), chosen.task))
    for field in ALONE:
        old, new, current = (getattr(each, field, None) for each in (before, after, now))
        assert getattr(then, field, None) == (old if old != new else current), field
    old, new, current = (times_of(each) for each in (before, after, now))
    assert times_of(then) == (old if old != new else current)
    for field in ("tags", *LinkKind):
        values = [set(getattr(each, field, ())) for each in (before, after, now)]
        assert set(getattr(then, field, ())) == (values[2] - (values[1] - values[0])) | (values[0] - values[1]), field


@given(wish_lists)
def test_commands_taken_back_newest_first_lead_to_the_empty_board(wished: list[Wish]) -> None:
    """No undo stands in the way of the next one. Nothing of a task that people were asked about can be left out."""
    driver = told([wish for wish in wished if wish.verb != "ask"])
    for command in reversed(dict.fromkeys(recorded.command for recorded in driver.events)):
        task = next(recorded.task for recorded in driver.events if recorded.command == command)
        undone = undo(history_of(driver.events, task), command)
        if undone is not None:
            driver.append(task, undone.events, cause=undone.cause)
    assert driver.board.tasks == {}


@given(wish_lists, st.lists(st.integers(0, 40) | wishes, max_size=20))
def test_undo_is_of_what_is_in_force(wished: list[Wish], more: list[int | Wish]) -> None:
    """With undos and redos in any order among commands: what is taken back is still as the command left it, and a command
    that was taken back already names an undo that can be taken back.
    """
    driver = told(wished)
    for step in more:
        if not isinstance(step, int):
            tell(driver, step)
            continue
        if not driver.events:
            continue
        chosen = driver.events[-1 - step % len(driver.events)]
        history = history_of(driver.events, chosen.task)
        own = [recorded for recorded in history if recorded.command == chosen.command]
        before = fold([recorded for recorded in history if recorded.version < own[0].version])
        after = fold([recorded for recorded in history if recorded.version <= own[-1].version])
        if is_said(own):
            continue
        refusal, undone = attempted(history, chosen.command)
        if refusal is not None and refusal.is_undo:
            later = next(recorded.command for recorded in history if recorded.at == refusal.later)
            assert undo(history, later) is not None
        if undone is None:
            continue
        for field in ALONE:
            old, new, current = (getattr(each, field, None) for each in (before, after, undone.now))
            assert new in (current, old), field
        driver.append(chosen.task, undone.events, cause=undone.cause)
        assert_sound(history_of(driver.events, chosen.task))


@given(wish_lists)
def test_undo_changes_nothing_it_looks_at(wished: list[Wish]) -> None:
    """Undoing is pure, and the same history gives the same answer."""
    events = told(wished).events
    for chosen in events:
        assert answer(events, chosen) == answer(events, chosen)


def is_said(own: list[RecordedEvent]) -> bool:
    """Whether a command asked or answered; what brings a task back says again what was said, and is no such command."""
    said = any(isinstance(recorded.data, TaskAsked | TaskAnswered) for recorded in own)
    return said and not isinstance(own[0].data, TaskCreated)


def times_of(task: Task | None) -> tuple[int | None, int | None]:
    return (None, None) if task is None else (task.due_ms, task.not_before_ms)


def attempted(history: list[RecordedEvent], command: str) -> tuple[UndoOvertakenError | None, Undone | None]:
    try:
        return None, undo(history, command)
    except UndoOvertakenError as error:
        return error, None


def answer(events: list[RecordedEvent], chosen: RecordedEvent) -> Any:
    try:
        return undo(history_of(events, chosen.task), chosen.command)
    except (UndoOvertakenError, NotUndoableError) as error:
        return str(error)


def assert_sound(history: list[RecordedEvent]) -> None:
    """Each event is one that a command can make of the task it meets."""
    task: Task | None = None
    for recorded in history:
        assert flaw_of(task, recorded) is None, recorded
        task = fold([recorded], task, after_version=recorded.version - 1)
