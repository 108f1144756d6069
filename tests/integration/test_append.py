"""Appending on a real server: order, guards, all or nothing, and what a lost reply leads to."""

from __future__ import annotations

import pytest
import redis

from ledger import (
    BackdateRefusedError,
    Basis,
    BasisDisturbedError,
    Event,
    EventStore,
    Keys,
    LedgerDamagedError,
    TaskAssigned,
    TaskCreated,
    TaskRemoved,
    TaskStarted,
    WrongExpectedVersionError,
)
from tests.support.builders import TASK, an_event, append, task_id


def test_append_returns_consecutive_positions(store: EventStore) -> None:
    """Sequence numbers go on from 1 without a gap, over several appends."""
    first = append(store, [TaskCreated("a"), TaskAssigned("worker-1")])
    second = append(store, [TaskStarted()], expected=2)
    assert [position.seq for position in first + second] == [1, 2, 3]
    assert first[0] < first[1] < second[0]


def test_append_with_stale_version_writes_nothing(store: EventStore, client: redis.Redis, keys: Keys) -> None:
    """Of an append over two tasks with one failed guard, neither task's events are written."""
    append(store, [TaskCreated("a")])
    other = task_id(2)
    before = client.dump(keys.ledger), client.hgetall(keys.heads)
    with pytest.raises(WrongExpectedVersionError) as caught:
        store.append(
            [an_event(TaskCreated("b"), task=other), an_event(TaskAssigned("worker-1"), version=1)], {other: 0, TASK: 0}
        )
    assert (caught.value.task_id, caught.value.expected, caught.value.actual) == (TASK, 0, 1)
    assert (client.dump(keys.ledger), client.hgetall(keys.heads)) == before


def test_append_backdated_before_the_last_event_writes_nothing(
    store: EventStore, client: redis.Redis, keys: Keys
) -> None:
    """An explicit time may not lie before the last event's."""
    store.append([an_event(TaskCreated("a"))], {TASK: 0}, backdate_ms=2_000)
    with pytest.raises(BackdateRefusedError):
        store.append([an_event(TaskAssigned("b"), version=2)], {TASK: 1}, backdate_ms=1_999)
    assert client.xlen(keys.ledger) == 1
    assert store.append([an_event(TaskAssigned("b"), version=2)], {TASK: 1}, backdate_ms=2_000) == ["2000-2"]


def test_append_after_a_foreign_entry_writes_nothing(store: EventStore, client: redis.Redis, keys: Keys) -> None:
    """An entry that the append script did not write restarts the sequence; the script refuses to go on from it."""
    last = append(store, [TaskCreated("a")])[-1]
    client.xadd(keys.ledger, {"event": "{}"}, id=f"{last.ms + 1}-0")
    with pytest.raises(LedgerDamagedError, match="2 entries"):
        append(store, [TaskAssigned("worker-1")], expected=1)
    assert client.xlen(keys.ledger) == 2


@pytest.mark.parametrize(
    ("facts", "parents", "is_disturbed"),
    [
        ([TaskCreated("new")], (3,), False),
        ([TaskCreated("new below another one", parent_id=task_id(2))], (3,), False),
        ([TaskCreated("new below it", parent_id=task_id(3))], (3,), True),
        ([TaskCreated("there before"), TaskRemoved(), TaskCreated("again")], (3,), False),
        ([TaskCreated("there before"), TaskRemoved(), TaskCreated("again, below", parent_id=task_id(2))], (3,), True),
    ],
    ids=["alone", "below another", "below one of these", "again", "again below another"],
)
def test_creation_disturbs_a_basis_below_its_parents_or_if_the_task_was_there_before(
    store: EventStore, facts: list[Event], parents: tuple[int, ...], *, is_disturbed: bool
) -> None:
    """Others may lead to a task that was there; to a new one nothing leads but its parent."""
    append(store, [TaskCreated("a")])
    basis = Basis(store.end(), frozenset({TaskCreated}), parents=frozenset(map(task_id, parents)))
    append(store, facts, task=task_id(9))
    event = an_event(TaskAssigned("worker-1"), version=2)
    if is_disturbed:
        with pytest.raises(BasisDisturbedError):
            store.append([event], {TASK: 1}, basis=basis)
    else:
        store.append([event], {TASK: 1}, basis=basis)
    assert store.head(TASK)[0] == (1 if is_disturbed else 2)
