"""What `diff` says between any two moments of a random history leads from the one board to the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from cli.output import json_line
from ledger import BEGINNING, Position, RecordedEvent
from projections import Board, BoardDiff, Differing
from shapes import task_shape
from shapes.audit import board_diff_shape
from tests.property.histories import histories

BATCH = 3

COMPARED: Final = frozenset(
    [
        "description",
        "state",
        "assigned_to",
        "result",
        "parent_id",
        "tags",
        "alias",
        "priority",
        "due",
        "not_before",
        "needs",
        "relates",
        "duplicates",
        "discovered_from",
        "question",
        "choices",
        "answer",
    ]
)


@given(histories, st.data())
def test_diff_applied_to_the_one_board_is_the_other(events: list[RecordedEvent], data: st.DataObject) -> None:
    """As JSON, in both directions, and folded in batches: every field of every task, versions and times among them."""
    numbers = st.integers(0, len(events))
    first, second = sorted((data.draw(numbers), data.draw(numbers)))
    before, after = board_at(events, first), board_at(events, second)
    found = diff(events, first, second)
    assert applied(found, before) == after
    assert applied(found.turned(), after) == before
    assert found.events == second - first
    assert found.passing == len({each.task for each in events[first:second]}) - len(found.tasks)


@given(histories, st.data())
def test_diff_names_what_is_different_and_nothing_else(events: list[RecordedEvent], data: st.DataObject) -> None:
    """The tasks whose events lie between the moments; each with the states it went through, and the fields that differ."""
    numbers = st.integers(0, len(events))
    first, second = sorted((data.draw(numbers), data.draw(numbers)))
    before, after = board_at(events, first), board_at(events, second)
    for each in diff(events, first, second).tasks:
        old, new = before.get(each.task_id, {}), after.get(each.task_id, {})
        names = {change.field for change in each.changes}
        assert names == {name for name in COMPARED if value_of(old, name) != value_of(new, name)}
        seen = [
            snapshot["state"]
            for number in range(first, second + 1)
            if (snapshot := board_at(events, number).get(each.task_id))
        ]
        path = [state for index, state in enumerate(seen) if not index or state != seen[index - 1]]
        assert path == each.states
        assert each.events == sum(recorded.task == each.task_id for recorded in events[first:second])


def value_of(snapshot: dict[str, Any], name: str) -> Any:
    """A field of a task's JSON, which may leave it out; an empty list is nothing."""
    value = snapshot.get(name, 2 if name == "priority" else None)
    return None if value == [] else value


def diff(events: Sequence[RecordedEvent], first: int, second: int) -> BoardDiff:
    """As the ledger is read: batch by batch, and of the tasks that a batch meets first, their own earlier events."""
    differing = Differing(position_of(events, first))
    for start in range(first, second, BATCH):
        batch = events[start : min(start + BATCH, second)]
        earlier = {
            task: [each for each in events if each.task == task and each.position <= Position(prev)]
            for task, prev in differing.unknown(batch).items()
        }
        differing.fold(batch, earlier)
    return differing.diff(position_of(events, second))


def position_of(events: Sequence[RecordedEvent], number: int) -> Position:
    return events[number - 1].position if number else BEGINNING


def board_at(events: Sequence[RecordedEvent], number: int) -> dict[str, Any]:
    """Task id -> its JSON, after so many events."""
    board = Board()
    board.fold(events[:number])
    return {task.id: json.loads(json_line(task_shape(task))) for task in board.tasks.values()}


def applied(found: BoardDiff, board: dict[str, Any]) -> dict[str, Any]:
    """The board once what the JSON says is done to it; what it says of before must be so."""
    result = dict(board)
    for each in json.loads(json_line(board_diff_shape(found)))["tasks"]:
        assert result.pop(each["task"], None) == each["before"]
        if each["after"] is not None:
            result[each["task"]] = each["after"]
    return result
