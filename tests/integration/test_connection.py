"""Connections that do not come about: each ends with what is wrong, where, and what to do, and tells no password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import LostConnectionError, StoreUnavailableError
from tests.support.servers_made_slow import SLOW_KEYS, a_slowly_loading_server
from tests.support.stub_server import bulk, stub_server
from tests.support.towns import client_of
from town import EmbeddedServer, ServerTooOldError, Town
from town.folder.settings import RedisSettings, Settings
from town.server.connection import connect

SECRET = "s3cr3t"
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
INFORMATION = bulk("# Server\r\nredis_version:7.2.4\r\n")


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be connected to is tested elsewhere; here everything may."""
    monkeypatch.setenv("TT_TRUST", "1")


def settings_for(url: str) -> Settings:
    return Settings("connected", RedisSettings(url=url))


def refusal_of(folder: Path, url: str) -> StoreUnavailableError:
    with pytest.raises(StoreUnavailableError) as caught:
        connect(folder, settings_for(url)).close()
    return caught.value


@contextmanager
def server_that_wants_a_password(folder: Path) -> Iterator[None]:
    server = EmbeddedServer(folder)
    server.start()
    with client_of(folder) as client:
        client.config_set("requirepass", SECRET)
        try:
            yield
        finally:
            client.config_set("requirepass", "")


# --- passwords ---------------------------------------------------------------------------------------------------


def test_connect_with_the_wrong_password_says_so(folder: Path) -> None:
    """The advice is to correct the URL; neither the wrong nor the right password is told."""
    with server_that_wants_a_password(folder):
        refusal = refusal_of(folder, f"unix://:wr0ng@{folder / 'redis.sock'}")
    assert "refused the password: correct the URL" in str(refusal)
    assert "wr0ng" not in str(refusal)
    assert SECRET not in str(refusal)


def test_connect_without_a_password_asks_for_one(folder: Path) -> None:
    """A URL without a password is not a wrong password: the advice is how to give one."""
    with server_that_wants_a_password(folder):
        refusal = refusal_of(folder, f"unix://{folder / 'redis.sock'}")
    assert "It wants a password: put it into the URL" in str(refusal)


def test_connect_with_the_right_password_connects(folder: Path) -> None:
    """The password goes to the server, and not into what a connection says of itself."""
    with server_that_wants_a_password(folder):
        connection = connect(folder, settings_for(f"unix://:{SECRET}@{folder / 'redis.sock'}"))
        assert connection.client.ping()
        assert SECRET not in connection.where
        connection.close()


def test_own_server_that_wants_a_password_says_so(folder: Path) -> None:
    """Somebody set one at the town's own server: it is alive, so nothing is started in its place."""
    Town.init(folder, name="locked").close()
    with server_that_wants_a_password(folder), pytest.raises(StoreUnavailableError, match="It wants a password"):
        Town.open(folder)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@127.0.0.1:1/",
        f"redis://user:{SECRET}@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/?password={SECRET}",
        f"rediss://:{SECRET}@127.0.0.1:1/",
        f"unix://:{SECRET}@/no/such/redis.sock",
        f"unix:///no/such/redis.sock?password={SECRET}",
        f"http://user:{SECRET}@127.0.0.1:1/",
        f"user:{SECRET}@127.0.0.1:1",
        f":{SECRET}@127.0.0.1:1",
        f"redis:{SECRET}@127.0.0.1:1",
        f"redis://user:{SECRET}/{SECRET}@127.0.0.1:1/0",
        f"redis://user:1/{SECRET}@127.0.0.1:1/0",
        f"redis://user:{SECRET}?{SECRET}@127.0.0.1:1/0",
        f"redis://user:{SECRET}#{SECRET}@127.0.0.1:1/0",
        f"redis://user:{SECRET}@127.0.0.1:notaport/0",
        f"redis://user:{SECRET}@127.0.0.1:1/notadatabase",
        f"redis://user:{SECRET}@[::1/0",
    ],
)
def test_message_of_a_url_that_fails_holds_no_password(folder: Path, url: str) -> None:
    """Whatever is wrong with the URL, what is shown and logged is without the password, also where it is miswritten."""
    refusal = refusal_of(folder, url)
    cause = refusal.__cause__
    assert SECRET not in f"{refusal} {refusal.where} {refusal.problem} {refusal.advice}"
    assert cause is None or not isinstance(cause, UnicodeError)


# --- nothing there -----------------------------------------------------------------------------------------------


def test_connect_where_nothing_listens_says_where(folder: Path) -> None:
    """The address is named, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    refusal = refusal_of(folder, f"redis://127.0.0.1:{port}/")
    assert refusal.where == f"redis://127.0.0.1:{port}/"
    assert "did not answer" in str(refusal)
    assert not refusal.has_refused


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("unix:///no/such/redis.sock", "did not answer"),
        ("redis://no-such-host.invalid/", "did not answer"),
        ("redis://a..b/", "has a URL whose host cannot be one"),
    ],
)
def test_connect_to_an_address_that_leads_nowhere_says_so(folder: Path, url: str, words: str) -> None:
    """A missing socket, a name nobody knows, and a name that cannot be one."""
    assert words in str(refusal_of(folder, url))


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "127.0.0.1:6379", "REDIS//x", "postgres://x/y"])
def test_connect_with_an_unknown_scheme_lists_the_known_ones(folder: Path, url: str) -> None:
    """Also where the scheme is left out."""
    refusal = refusal_of(folder, url)
    assert "has a URL of an unknown kind" in str(refusal)
    assert all(f"{scheme}://" in refusal.advice for scheme in ("redis", "rediss", "unix", "valkey"))


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_connect_by_either_scheme_connects(folder: Path, scheme: str) -> None:
    """Valkey's own scheme is the same protocol."""
    with stub_server({b"INFO": [INFORMATION]}) as server:
        connect(folder, settings_for(f"{scheme}://127.0.0.1:{server.port}/")).close()
        assert b"INFO" in server.asked


def test_connect_to_a_stopped_own_server_without_starting_it_is_refused(folder: Path) -> None:
    """A look at a town starts nothing."""
    Town.init(folder, name="stopped").close()
    EmbeddedServer(folder).stop()
    with pytest.raises(StoreUnavailableError):
        connect(folder, Settings("stopped"), is_starting=False)
    assert not EmbeddedServer(folder).is_running()


# --- something else there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["6.2.14", "5.0.0", "2.8"])
def test_connect_to_a_server_that_is_too_old_is_refused(folder: Path, version: str) -> None:
    """Its version and the one that is needed are named."""
    with stub_server({b"INFO": [bulk(f"# Server\r\nredis_version:{version}\r\n")]}) as server:
        refusal = refusal_of(folder, f"redis://:{SECRET}@127.0.0.1:{server.port}/")
    assert isinstance(refusal, ServerTooOldError)
    assert f"is version {version}" in str(refusal)
    assert "Version 7 or later is needed" in str(refusal)
    assert SECRET not in str(refusal)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n", b"+OK\r\n"])
def test_connect_to_what_is_no_redis_is_refused(folder: Path, reply: bytes) -> None:
    """A web server behind the port, or something that does not know INFO, ends as one of our errors."""
    with stub_server({b"INFO": [reply]}) as server:
        refusal = refusal_of(folder, f"redis://127.0.0.1:{server.port}/")
    assert f"127.0.0.1:{server.port}" in str(refusal)


# --- not yet -----------------------------------------------------------------------------------------------------


def test_connect_waits_while_the_server_says_it_is_loading(folder: Path) -> None:
    """LOADING means alive: asked again until it is over."""
    replies = {b"GET": [LOADING] * 3 + [b"$-1\r\n"], b"INFO": [LOADING] * 3 + [INFORMATION]}
    with stub_server(replies) as server:
        connect(folder, settings_for(f"redis://127.0.0.1:{server.port}/")).close()
        assert server.asked.count(b"GET") > len(replies[b"GET"]) - 1
        assert server.asked.count(b"INFO") > len(replies[b"INFO"]) - 1


def test_connect_gives_up_on_a_server_that_loads_for_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has a bound; the advice is to try again."""
    monkeypatch.setattr("town.server.connection.LOADING_SECONDS_MAX", 0.1)
    with stub_server({b"GET": [LOADING], b"INFO": [LOADING]}) as server:
        refusal = refusal_of(folder, f"redis://127.0.0.1:{server.port}/")
    assert "It is still reading its data: try again in a moment" in str(refusal)


def test_town_whose_server_is_loading_is_opened_when_it_is_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server answers INFO while it loads, and nothing else: the first command must not meet that.

    The bug looked like this: "Redis is loading the dataset in memory", after the start of a town with a long ledger.
    """
    Town.init(folder, name="loading").close()
    with client_of(folder) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(SLOW_KEYS):
            pipeline.set(f"key-{number}", "x")
        pipeline.execute()
    EmbeddedServer(folder).stop()
    binary = a_slowly_loading_server(tmp_path / "server")
    monkeypatch.setenv("TT_SERVER_BINARY", binary)
    with Town.open(folder) as town:
        assert town.create("a").task.version == 1


# --- refused later -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "It is out of memory"),
        (("REPLICAOF", "127.0.0.1", "1"), "It is a replica"),
        (("ACL", "SETUSER", "default", "-eval", "-evalsha", "-xrevrange"), "lacks a right"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
def test_command_that_the_server_refuses_carries_its_advice(
    folder: Path, command: tuple[str, ...], advice: str
) -> None:
    """Out of memory, a replica, a missing right: what to do is said, and nothing was written."""
    with Town.init(folder, name="refused") as town, client_of(folder) as client:
        town.create("before")
        client.execute_command(*command)  # type: ignore[no-untyped-call]
        with pytest.raises(StoreUnavailableError, match=advice) as caught:
            town.create("refused")
        assert caught.value.has_refused
        assert client.xlen(town.keys.ledger) == 1


def test_town_whose_server_goes_away_says_so(folder: Path) -> None:
    """In the middle of a session: an error of ours, with the cause kept."""
    with Town.init(folder, name="gone") as town:
        EmbeddedServer(folder).stop()
        with pytest.raises(StoreUnavailableError) as caught:
            town.create("a")
        assert isinstance(caught.value.__cause__, LostConnectionError)


@pytest.mark.parametrize(
    "query",
    [
        "foo=bar",
        "parser_class=x",
        "retry=3",
        "protocol=9",
        "protocol=",
        "db=x",
        "connection_class=y",
        "ssl_cert_reqs=maybe",
        "a",
        "socket_timeout=1",
    ],
)
def test_connect_with_an_option_that_is_not_known_is_refused(folder: Path, query: str) -> None:
    """What stands behind `?` never reaches inside the client; the refusal lists what may stand there."""
    with pytest.raises(StoreUnavailableError, match="Known options are db, protocol"):
        connect(folder, settings_for(f"redis://127.0.0.1:1/0?{query}")).close()
