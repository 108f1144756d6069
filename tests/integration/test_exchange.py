"""Many commands on one connection, on the real server: replies in order, errors among them, and nothing left over for others."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.connection import UnixDomainSocketConnection

from ledger import EventStore, Keys, StoreUnavailableError, TaskCreated, exchange
from tests.support.builders import TASK, an_event


def test_replies_come_in_order_and_errors_stand_among_them(client: redis.Redis) -> None:
    """As the server sends them: a hash as names and values in turn, a refusal as an exception that is not raised."""
    replies = exchange(
        client,
        [("SET", "text", "a"), ("HGETALL", "text"), ("HSET", "hash", "name", 1), ("HGETALL", "hash"), ("GET", "text")],
    )
    assert isinstance(replies[1], redis.ResponseError)
    assert [replies[0], *replies[2:]] == [b"OK", 1, [b"name", b"1"], b"a"]


def test_no_commands_have_no_replies(client: redis.Redis) -> None:
    """Nothing is sent."""
    assert exchange(client, []) == []


def test_connection_whose_replies_are_left_behind_is_not_given_to_the_next(
    client: redis.Redis, server_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two replies: what is still on the way is nobody's, and the next command gets its own reply."""
    client.set("text", "a")
    read = UnixDomainSocketConnection.read_response
    replies = count(1)

    def read_or_stop(self: UnixDomainSocketConnection, *arguments: Any, **more: Any) -> Any:
        if next(replies) == 2:
            raise KeyboardInterrupt
        return read(self, *arguments, **more)  # type: ignore[no-untyped-call]

    with redis.Redis(unix_socket_path=str(server_socket)) as stopped:
        stopped.ping()
        with monkeypatch.context() as patched:
            patched.setattr(UnixDomainSocketConnection, "read_response", read_or_stop)
            with pytest.raises(KeyboardInterrupt):
                exchange(stopped, [("GET", "text"), ("BLPOP", "nothing", "0.5")])
        assert stopped.ping() is True


def test_append_that_is_begun_leaves_time_for_other_work(client: redis.Redis, keys: Keys) -> None:
    """What the same store and client do meanwhile gets its own replies, and the outcome is the append's."""
    store = EventStore(client, keys)
    finish = store.begin_append([an_event(TaskCreated("a"))], {TASK: 0})
    client.set("text", "b")
    assert client.get("text") == b"b"
    assert finish() == [store.end()]


def test_append_with_one_connection_teaches_the_server_its_script(
    client: redis.Redis, server_socket: Path, keys: Keys
) -> None:
    """A server that was started anew knows no scripts; the request that meets this holds no connection meanwhile."""
    client.script_flush()
    with redis.Redis(unix_socket_path=str(server_socket), max_connections=1) as narrow:
        store = EventStore(narrow, keys)
        assert store.append([an_event(TaskCreated("a"))], {TASK: 0}) == [store.end()]


def test_append_that_cannot_be_sent_gives_its_connection_back(server_socket: Path, keys: Keys) -> None:
    """What is no text is refused by the client, and the next append goes through on the only connection."""
    with redis.Redis(unix_socket_path=str(server_socket), max_connections=1) as narrow:
        store = EventStore(narrow, keys)
        with pytest.raises(UnicodeEncodeError):
            store.begin_append([an_event(TaskCreated("a"))], {"\ud800": 0, TASK: 0})
        assert store.append([an_event(TaskCreated("a"))], {TASK: 0}) == [store.end()]


def test_append_that_is_begun_without_a_server_says_so_at_its_end(tmp_path: Path, keys: Keys) -> None:
    """An error of the sending waits for whoever asks for the outcome."""
    with redis.Redis(unix_socket_path=str(tmp_path / "nobody.sock")) as nobody:
        finish = EventStore(nobody, keys, where="nobody").begin_append([an_event(TaskCreated("a"))], {TASK: 0})
        with pytest.raises(StoreUnavailableError, match="nobody did not answer"):
            finish()
