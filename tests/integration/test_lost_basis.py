"""Decisions on what a failover took away: the versions they guard may be there again, with other events (P1, P2, P4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from ledger import (
    Basis,
    BasisDisturbedError,
    Event,
    EventStore,
    Keys,
    TaskAssigned,
    TaskCreated,
    TaskDescribed,
    TaskNoted,
    UndoOvertakenError,
)
from tests.support.builders import TASK, an_event
from tests.support.losses import Kept, fall_back, look_back
from tests.support.towns import client_of, end_server
from town import Town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town.init(tmp_path / "town", name="demo", actor="alice", is_registered=False) as town:
        yield town
    end_server(tmp_path / "town")


@pytest.fixture
def server(town: Town) -> Iterator[redis.Redis]:
    with client_of(town.folder) as client:
        yield client


def write(server: redis.Redis, task: str, version: int, fact: Event) -> None:
    """Append as a machine does whose receipts are elsewhere."""
    EventStore(server, Keys("demo")).append([an_event(fact, task=task, version=version)], {task: version - 1})


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Lets something happen once, after the next command has read and decided, and before it appends."""

    def arrange(happens: Callable[[], None]) -> None:
        append = EventStore.append

        def once(*args: object, **options: object) -> object:
            monkeypatch.setattr(EventStore, "append", append)
            happens()
            return append(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(EventStore, "append", once)

    return arrange


def fail_over(server: redis.Redis, kept: Kept, task: str, version: int, fact: Event) -> Callable[[], None]:
    """The server holds what it held, and another event came since."""

    def happens() -> None:
        fall_back(server, kept)
        write(server, task, version, fact)

    return happens


def test_command_is_decided_again_where_a_failover_replaced_what_it_read(
    town: Town, server: redis.Redis, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    """The event it read is gone, and another one has its version: what is told follows from that one."""
    task = town.create("first").task.id
    kept = look_back(server)
    write(server, task, 2, TaskDescribed("as the lost primary said"))
    town.task(task)
    meanwhile(fail_over(server, kept, task, 2, TaskDescribed("as the new primary says")))
    told = town.note(task, "mine").task
    assert told.description == "as the new primary says"
    assert told == town.task(task)
    assert [each.type for each in town.events.last(count=None)] == ["task.created", "task.described", "task.noted"]


def test_backlog_is_read_again_where_a_failover_replaced_what_was_read(
    town: Town, server: redis.Redis, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    """What somebody has by now is not given to another agent."""
    task = town.create("first").task.id
    kept = look_back(server)
    write(server, task, 2, TaskNoted("lost"))
    meanwhile(fail_over(server, kept, task, 2, TaskAssigned("bob")))
    assert town.assign_all("ada") == ()
    assert town.task(task).assigned_to == "bob"


def test_undo_reads_again_where_a_failover_replaced_what_it_read(
    town: Town, server: redis.Redis, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    """What others changed since is not taken back with it."""
    task = town.create("first").task.id
    town.describe(task, "second")
    kept = look_back(server)
    write(server, task, 3, TaskNoted("lost"))
    meanwhile(fail_over(server, kept, task, 3, TaskDescribed("third")))
    with pytest.raises(UndoOvertakenError):
        town.undoing.undo("2")
    assert town.task(task).description == "third"


def test_basis_that_is_gone_refuses_an_append(server: redis.Redis) -> None:
    """Nothing is written; a basis that is there refuses nothing, however many events came since."""
    store = EventStore(server, Keys("demo"))
    store.append([an_event(TaskCreated("x"), task=TASK)], {TASK: 0})
    kept = look_back(server)
    write(server, TASK, 2, TaskNoted("lost"))
    lost, first = Basis(store.end()), Basis(store.read()[0].position)
    fall_back(server, kept)
    for version in range(2, 252):
        write(server, TASK, version, TaskNoted("more"))
    event = an_event(TaskNoted("last"), task=TASK, version=252)
    with pytest.raises(BasisDisturbedError):
        store.append([event], {TASK: 251}, basis=lost)
    assert len(store.read(limit=300)) == 251
    store.append([event], {TASK: 251}, basis=first)
