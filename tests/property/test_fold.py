"""Folding random histories: in parts as whole, legal throughout, the same as the snapshots say."""

from __future__ import annotations

from copy import copy
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger import RecordedEvent, Task, compare, steps
from ledger.task import fold
from projections import Board, encode_snapshot
from projections.snapshots import decode_snapshot
from tests.property.histories import TASKS, histories
from tests.property.strategies import tasks
from tests.support.legality import live


def of_task(events: list[RecordedEvent], task: str) -> list[RecordedEvent]:
    return [event for event in events if event.task == task]


@given(histories)
def test_history_is_legal(events: list[RecordedEvent]) -> None:
    """Whatever was commanded, each task's events follow the machine, and the fold is where they lead."""
    for id_ in TASKS:
        history = of_task(events, id_)
        life = live(event.data for event in history)
        task = fold(history)
        if task is None:
            assert life.state == "absent"
            continue
        assert (task.state, task.assigned_to, task.result) == (life.state, life.agent, life.result)
        assert (task.description, task.parent_id, frozenset(task.tags)) == (life.description, life.parent, life.tags)


@given(histories, st.data())
def test_fold_in_two_parts_is_fold_whole(events: list[RecordedEvent], data: st.DataObject) -> None:
    """Where a fold stops, another goes on."""
    for id_ in TASKS:
        history = of_task(events, id_)
        cut = data.draw(st.integers(0, len(history)))
        # A removed task cannot say its version itself.
        assert fold(history[cut:], fold(history[:cut]), after_version=cut) == fold(history)


@given(histories, st.lists(st.integers(0, 60)))
def test_board_in_batches_is_board_whole(events: list[RecordedEvent], cuts: list[int]) -> None:
    """However the ledger is cut into batches, empty ones too, the board is the same, and is each task's fold."""
    whole, pieces = Board(), Board()
    whole.fold(events)
    bounds = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for start, end in pairwise(bounds):
        pieces.fold(events[start:end])
        pieces.fold([])
    assert (pieces.tasks, pieces.position) == (whole.tasks, whole.position)
    folded = {id_: fold(of_task(events, id_)) for id_ in TASKS}
    assert whole.tasks == {id_: task for id_, task in folded.items() if task is not None}


@given(histories)
def test_versions_and_times_follow_the_events(events: list[RecordedEvent]) -> None:
    """A task's version is how many events it has, its last change is the last of them, and it is no older than its start."""
    board = Board()
    board.fold(events)
    for task in board.tasks.values():
        history = of_task(events, task.id)
        assert (task.version, task.position) == (len(history), history[-1].position)
        assert task.updated_at_ms == history[-1].position.ms
        assert task.created_at_ms <= (task.started_at_ms or task.created_at_ms) <= task.updated_at_ms


@given(histories)
def test_steps_lead_from_nothing_to_the_task(events: list[RecordedEvent]) -> None:
    """The changes that a history shows, laid one upon the other, are the change from nothing to the task."""
    for id_ in TASKS:
        history = of_task(events, id_)
        values: dict[str, object] = {"priority": 2}
        for step in steps(history):
            for change in step.changes:
                assert values.get(change.field) == change.before
                values[change.field] = change.after
        after = {change.field: change.after for change in compare(None, fold(history))}
        nobody_set = {"priority": 2}
        assert {field: value for field, value in values.items() if value != nobody_set.get(field)} == after


@given(tasks())
def test_snapshot_decodes_to_the_task(task: Task) -> None:
    """decode(encode(task)) is the task."""
    before = copy(task)
    snapshot = encode_snapshot(task)
    assert decode_snapshot(snapshot, key="key") == task
    assert task == before
