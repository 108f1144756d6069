"""Copying on a real server: the same entries at the same positions, checks before the first write, and going on after a break."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import redis

from ledger import (
    Chain,
    Copier,
    EventDecodingError,
    EventStore,
    Keys,
    LedgerDamagedError,
    SequenceGapError,
    StoreUnavailableError,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskRemoved,
    TaskStarted,
    WrongExpectedEndError,
)
from ledger import copier as copier_module
from ledger.lua.copy import Copied, CopyScript
from tests.support.builders import TASK, append, task_id


@pytest.fixture
def entries(store: EventStore) -> list[Any]:
    """The stored entries of a ledger with two tasks, one of them removed and brought back."""
    append(store, [TaskCreated("a"), TaskAssigned("worker-1")])
    append(store, [TaskCreated("b"), TaskRemoved(), TaskCreated("b again")], task=task_id(2))
    append(store, [TaskStarted(), TaskCompleted("done")], expected=2)
    return [entry for batch in store.read_entries() for entry in batch]


@pytest.fixture
def other() -> Keys:
    """The keys of the town that is copied to."""
    return Keys("copy")


def test_copy_has_the_same_entries_and_heads(
    client: redis.Redis, keys: Keys, other: Keys, entries: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions and stored bytes are the same, also over several batches and several calls; and the town goes on from there."""
    monkeypatch.setattr(copier_module, "COPY_EVENTS_MAX", 2)
    copier = Copier(client, other)
    copier.copy(entries[:3])
    assert copier.copy(entries[3:]) == entries[-1][0].decode()
    assert client.xrange(other.ledger) == client.xrange(keys.ledger)
    assert client.hgetall(other.heads) == client.hgetall(keys.heads)
    store = EventStore(client, other)
    assert append(store, [TaskRemoved()], expected=4)[0].seq == len(entries) + 1
    assert [recorded.version for recorded in store.history(TASK)] == [1, 2, 3, 4, 5]


def test_copy_goes_on_from_where_another_one_ended(
    client: redis.Redis, keys: Keys, other: Keys, entries: list[Any]
) -> None:
    """A later copy needs a chain that followed what is there, and appends the rest alone."""
    Copier(client, other).copy(entries[:4])
    chain = Chain()
    chain.follow(entries[:4])
    Copier(client, other, chain=chain).copy(entries[4:])
    assert client.xrange(other.ledger) == client.xrange(keys.ledger)
    assert client.hgetall(other.heads) == client.hgetall(keys.heads)


def test_copy_to_a_ledger_that_goes_on_meanwhile_writes_nothing(
    client: redis.Redis, other: Keys, entries: list[Any]
) -> None:
    """Another writer's event at the end is never overtaken or overwritten."""
    Copier(client, other).copy(entries[:2])
    append(EventStore(client, other), [TaskStarted()], expected=2)
    before = client.dump(other.ledger), client.hgetall(other.heads)
    chain = Chain()
    chain.follow(entries[:2])
    with pytest.raises(WrongExpectedEndError):
        Copier(client, other, chain=chain).copy(entries[2:])
    assert (client.dump(other.ledger), client.hgetall(other.heads)) == before


def test_copy_onto_other_heads_writes_nothing(client: redis.Redis, other: Keys, entries: list[Any]) -> None:
    """Where a head is not that of the task's last event, the copy would bury the damage."""
    Copier(client, other).copy(entries[:4])
    client.hset(other.heads, TASK, "7:1-1")
    chain = Chain()
    chain.follow(entries[:4])
    with pytest.raises(LedgerDamagedError, match="7:1-1"):
        Copier(client, other, chain=chain).copy(entries[4:])
    assert client.xlen(other.ledger) == 4


def test_copy_onto_a_ledger_that_lost_events_writes_nothing(
    client: redis.Redis, other: Keys, entries: list[Any]
) -> None:
    """What is missing before the end is told, not continued."""
    Copier(client, other).copy(entries[:4])
    client.xdel(other.ledger, entries[1][0])
    chain = Chain()
    chain.follow(entries[:4])
    with pytest.raises(LedgerDamagedError, match="3 entries"):
        Copier(client, other, chain=chain).copy(entries[4:])
    assert client.xlen(other.ledger) == 3


def test_copy_under_heads_without_a_ledger_writes_nothing(client: redis.Redis, other: Keys, entries: list[Any]) -> None:
    """A ledger that was deleted under its heads does not begin anew."""
    client.hset(other.heads, task_id(9), "1:1-1")
    with pytest.raises(LedgerDamagedError):
        Copier(client, other).copy(entries)
    assert not client.exists(other.ledger)


def test_script_checks_every_position_before_it_writes(client: redis.Redis, other: Keys, entries: list[Any]) -> None:
    """A position out of line is refused as a whole, whoever calls the script."""
    out_of_line = [entries[0], (entries[2][0], entries[1][1])]
    with pytest.raises(redis.ResponseError, match="does not follow"):
        CopyScript(client).begin(
            ledger_key=other.ledger, heads_key=other.heads, end="0-0", heads={TASK: ("", "1:1-1")}, entries=out_of_line
        )()
    assert not client.exists(other.ledger)
    assert not client.exists(other.heads)


def test_copy_whose_reply_is_lost_is_not_made_twice(
    client: redis.Redis, keys: Keys, other: Keys, entries: list[Any]
) -> None:
    """The script ran, its reply did not come: the second attempt finds the entries there, byte for byte."""
    copier = Copier(client, other)
    begin = copier._script.begin
    lost: list[Any] = []

    def begin_and_lose(**given: Any) -> Any:
        finish = begin(**given)
        if lost:
            return finish
        lost.append(finish())

        def lose() -> Any:
            raise redis.ConnectionError

        return lose

    with patch.object(copier._script, "begin", begin_and_lose):
        copier.copy(entries)
    assert lost == [Copied()]
    assert client.xrange(other.ledger) == client.xrange(keys.ledger)


def test_copy_that_the_server_never_answers_ends_with_that_error(
    client: redis.Redis, other: Keys, entries: list[Any]
) -> None:
    """Attempts have a bound."""
    copier = Copier(client, other)

    def fail() -> None:
        raise redis.ConnectionError

    with patch.object(copier._script, "begin", lambda **_: fail), pytest.raises(StoreUnavailableError):
        copier.copy(entries)


@pytest.mark.parametrize(
    ("place", "change", "error"),
    [
        (2, lambda position, _payload: (b"%d-7" % int(position.split(b"-")[0]), _payload), SequenceGapError),
        (1, lambda position, payload: (position, payload.replace(b'"version":2', b'"version":3')), SequenceGapError),
        (1, lambda _position, payload: (b"1-2", payload), LedgerDamagedError),
        (1, lambda _position, payload: (b"253402300800000-2", payload), LedgerDamagedError),
        (5, lambda position, payload: (position, payload.replace(b'"prev":"', b'"prev":"9')), LedgerDamagedError),
        (1, lambda position, payload: (position, b" " + payload), EventDecodingError),
        (1, lambda position, payload: (position, payload[:-1] + b"\n}"), EventDecodingError),
        (1, lambda position, payload: (position, payload + b" "), EventDecodingError),
        (1, lambda position, _payload: (position, b"[]"), EventDecodingError),
        (1, lambda position, _payload: (position, b"[" * 100_000), EventDecodingError),
        (
            1,
            lambda position, _payload: (position, b'{"prev":null,"prev":"1-1","task":"a","version":1}'),
            EventDecodingError,
        ),
    ],
)
def test_entry_out_of_line_is_not_copied(
    place: int, change: Any, error: type[Exception], client: redis.Redis, other: Keys, entries: list[Any]
) -> None:
    """Numbers, versions, `prev`, times and the form of what the append script writes are looked at before anything is sent."""
    position, (field, payload) = entries[place]
    changed_position, changed_payload = change(position, payload)
    entries[place] = (changed_position, [field, changed_payload])
    with pytest.raises(error):
        Copier(client, other).copy(entries)
    assert not client.exists(other.ledger)


def test_entry_with_other_fields_is_not_copied(client: redis.Redis, other: Keys, entries: list[Any]) -> None:
    """An entry of another program has no event."""
    entries[0] = (entries[0][0], [b"other", entries[0][1][1]])
    with pytest.raises(EventDecodingError, match="as the append script"):
        Copier(client, other).copy(entries)
    assert not client.exists(other.ledger)
