"""One contract for both clients: the town's own server is reached without redis-py, and nobody can tell."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from ledger import (
    BusyLoadingError,
    InvalidReplyError,
    LostConnectionError,
    NoScriptError,
    OverdueReplyError,
    OversizedReplyError,
    RedisError,
    ResponseError,
    UnfitReplyError,
    UnsendableError,
    WatchError,
    exchange,
    kinds_of,
)
from tests.contract.conftest import Connect
from tests.support.hostile_server import ANSWERS, HostileServer, hostile_server
from tests.support.markdown import ROOT
from tests.support.sources import parsed
from tests.support.towns import kill_server
from town import EmbeddedServer
from town.server import bounded_client, client_face, socket_client, socket_connection

SECONDS_MAX: Final = 0.2

REPLIES: Final[dict[str, tuple[Callable[[Any], Any], Any]]] = {
    "ping": (lambda client: client.ping(), True),
    "set": (lambda client: client.set("new", "é"), True),
    "set that is refused": (lambda client: client.set("text", "b", nx=True), None),
    "set for a time": (
        lambda client: (client.set("new", b"\xff", px=60_000), 0 < client.pttl("new") <= 60_000),
        (True, True),
    ),
    "get": (lambda client: client.get("text"), b"a"),
    "get of nothing": (lambda client: client.get("nothing"), None),
    "mget": (lambda client: client.mget(["text", "nothing"]), [b"a", None]),
    "exists": (lambda client: client.exists("text", "hash", "nothing"), 2),
    "type": (lambda client: [client.type("hash"), client.type("nothing")], [b"hash", b"none"]),
    "delete": (lambda client: client.delete("text", "nothing"), 1),
    "unlink": (lambda client: client.unlink("text"), 1),
    "rename": (lambda client: client.rename("text", "other"), True),
    "renamenx": (lambda client: client.renamenx("text", "hash"), False),
    "copy": (lambda client: client.copy("text", "other"), True),
    "pttl": (lambda client: client.pttl("text"), -1),
    "dump": (lambda client: client.dump("nothing"), None),
    "dbsize": (lambda client: client.dbsize(), 6),
    "memory_usage": (lambda client: client.memory_usage("text") > 0, True),
    "hset": (lambda client: client.hset("hash", "field", 1.5), 1),
    "hset of a mapping": (lambda client: client.hset("hash", mapping={"a": "2", "c": 3}), 1),
    "hget": (lambda client: [client.hget("hash", "a"), client.hget("hash", "z")], [b"1", None]),
    "hmget": (lambda client: client.hmget("hash", ["a", "z"]), [b"1", None]),
    "hgetall": (lambda client: client.hgetall("hash"), {b"a": b"1", b"b": b"\xff"}),
    "hgetall of nothing": (lambda client: client.hgetall("nothing"), {}),
    "hexists": (lambda client: [client.hexists("hash", "a"), client.hexists("hash", "z")], [True, False]),
    "hdel": (lambda client: client.hdel("hash", "a", "z"), 1),
    "hlen": (lambda client: client.hlen("hash"), 2),
    "hkeys": (lambda client: client.hkeys("hash"), [b"a", b"b"]),
    "hincrby": (lambda client: client.hincrby("hash", "a", 2), 3),
    "hscan_iter": (lambda client: sorted(client.hscan_iter("hash", match="a*", count=10)), [(b"a", b"1")]),
    "sadd": (lambda client: client.sadd("set", "a", "z"), 1),
    "srem": (lambda client: client.srem("set", "a", "z"), 1),
    "scard": (lambda client: client.scard("set"), 2),
    "smembers": (lambda client: client.smembers("set"), {b"a", b"b"}),
    "sismember": (lambda client: client.sismember("set", "a"), 1),
    "smismember": (lambda client: client.smismember("set", ["a", "z"]), [1, 0]),
    "sdiff": (lambda client: client.sdiff(["set", "nothing"]), {b"a", b"b"}),
    "sunion": (lambda client: client.sunion(["set", "nothing"]), {b"a", b"b"}),
    "srandmember": (lambda client: client.srandmember("nothing"), None),
    "sscan_iter": (lambda client: set(client.sscan_iter("set", count=1)), {b"a", b"b"}),
    "zadd": (lambda client: client.zadd("ranks", {"c": 3, "a": 0}), 1),
    "zcard": (lambda client: client.zcard("ranks"), 2),
    "zrange": (lambda client: client.zrange("ranks", 0, -1), [b"a", b"b"]),
    "zrangebylex": (lambda client: client.zrangebylex("ranks", "-", "+", start=0, num=1), [b"a"]),
    "zmscore": (lambda client: client.zmscore("ranks", ["b", "z"]), [2.5, None]),
    "zscore": (lambda client: client.zscore("ranks", "b"), 2.5),
    "zinter": (lambda client: client.zinter({"ranks": 1, "set": 0}, aggregate="SUM"), [b"a", b"b"]),
    "zrem": (lambda client: client.zrem("ranks", "a"), 1),
    "zscan_iter": (lambda client: sorted(client.zscan_iter("ranks")), [(b"a", 1.0), (b"b", 2.5)]),
    "scan": (lambda client: client.scan(0, match="t*", count=100), (0, [b"text"])),
    "scan_iter": (lambda client: list(client.scan_iter(match="*", count=2, _type="hash")), [b"hash"]),
    "rpush and lrange": (
        lambda client: (client.rpush("list", "c"), client.lrange("list", 0, -1)),
        (3, [b"a", b"b", b"c"]),
    ),
    "xadd": (lambda client: client.xadd("stream", {"event": "2"}, id="2-2"), b"2-2"),
    "xlen": (lambda client: client.xlen("stream"), 1),
    "xrange": (lambda client: client.xrange("stream", min="1-1", count=5), [(b"1-1", {b"event": b"1"})]),
    "xread": (lambda client: client.xread({"stream": "0-0"}, count=1), [[b"stream", [(b"1-1", {b"event": b"1"})]]]),
    "xread that waits in vain": (lambda client: client.xread({"stream": "1-1"}, count=1, block=10), []),
    "xdel": (lambda client: client.xdel("stream", "1-1"), 1),
    "script_load": (lambda client: client.script_load("return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
    "script_exists": (lambda client: client.script_exists("0" * 40), [False]),
    "config_get": (lambda client: client.config_get("appendonly", "save"), {"appendonly": "yes", "save": ""}),
    "config_set": (lambda client: client.config_set("slowlog-max-len", 128), True),
    "flushall": (lambda client: (client.flushall(), client.dbsize()), (True, 0)),
    "execute_command": (lambda client: client.execute_command("HMGET", "hash", "a"), [b"1"]),
    "execute_command of two words": (lambda client: client.execute_command("MEMORY", "USAGE", "nothing"), None),
}
"""What is asked, and what it is answered with."""


@pytest.fixture
def filled(asked: Any, client: redis.Redis) -> Any:
    """The client that is asked, beside a key of each type."""
    client.set("text", "a")
    client.hset("hash", mapping={"a": "1", "b": b"\xff"})
    client.sadd("set", "a", "b")
    client.zadd("ranks", {"a": 1, "b": 2.5})
    client.rpush("list", "a", "b")
    client.xadd("stream", {"event": "1"}, id="1-1")
    return asked


@pytest.mark.parametrize("name", REPLIES)
def test_reply_is_of_the_same_type(filled: Any, name: str) -> None:
    """Every method of the face, called as our code and our pages call it."""
    ask, expected = REPLIES[name]
    reply = ask(filled)
    assert reply == expected
    assert type(reply) is type(expected)


def test_every_method_is_in_the_contract() -> None:
    """What the small client offers is asked above or below; nothing of its face is untested."""
    tested = Path(__file__).read_text(encoding="utf-8")
    untested = [name for name in client_face.METHODS if f".{name}(" not in tested]
    assert untested == []


def test_every_method_that_our_code_calls_needs_no_redis_py() -> None:
    """A method that the small client does not have loads redis-py, which a command has no time for."""
    rare = {"bgrewriteaof", "connection_pool", "execute_command", "sendall", "recv", "settimeout", "connect"}
    face = {name for name in dir(socket_client.SocketClient) if not name.startswith("_")} | rare
    face |= {name for name in dir(socket_client.SocketPipeline) if not name.startswith("_")}
    called = {
        node.attr
        for package in ("ledger", "projections", "town")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(("client", "pipeline"))
    }
    assert {name for name in called if hasattr(redis.Redis, name)} - face == set()
    assert "hget" in called


def test_information_is_a_table_of_numbers_and_texts(asked: Any) -> None:
    """INFO, as the doctor reads it."""
    server, memory = asked.info("server"), asked.info("memory")
    assert isinstance(server["process_id"], int)
    assert server["redis_version"].count(".") == 2
    assert isinstance(memory["used_memory"], int)
    assert isinstance(memory["mem_fragmentation_ratio"], float)
    assert asked.info("keyspace") == {}
    asked.set("a", "b")
    assert asked.info("keyspace")["db0"]["keys"] == 1


def test_stream_is_described_with_its_ends(filled: Any, client: redis.Redis) -> None:
    """XINFO STREAM; a stream whose entries are gone has no ends."""
    found = filled.xinfo_stream("stream")
    assert (found["length"], found["last-generated-id"], found["last-entry"]) == (1, b"1-1", (b"1-1", {b"event": b"1"}))
    client.xdel("stream", "1-1")
    assert filled.xinfo_stream("stream")["last-entry"] is None


def test_time_is_seconds_and_microseconds(asked: Any) -> None:
    """TIME: two numbers."""
    seconds, microseconds = asked.time()
    assert seconds > 1_700_000_000
    assert 0 <= microseconds < 1_000_000


def test_scan_goes_on_until_all_is_found(asked: Any, client: redis.Redis) -> None:
    """A cursor is followed to its end."""
    client.mset({f"key-{number}": "x" for number in range(300)})
    assert set(asked.scan_iter(match="key-*", count=10)) == {b"key-%d" % number for number in range(300)}


# --- many at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transaction", [True, False])
def test_pipeline_answers_in_order(filled: Any, transaction: bool) -> None:
    """Each reply as the method alone gives it; the pipeline is empty afterwards."""
    pipeline = filled.pipeline(transaction=transaction)
    pipeline.hgetall("hash").smembers("set")
    pipeline.zmscore("ranks", ["a"])
    pipeline.execute_command("HMGET", "hash", "a")
    assert len(pipeline) == 4
    assert pipeline.execute() == [{b"a": b"1", b"b": b"\xff"}, {b"a", b"b"}, [1.0], [b"1"]]
    assert pipeline.execute() == []


@pytest.mark.parametrize("transaction", [True, False])
def test_error_in_a_pipeline_is_raised_or_stands_among_the_replies(filled: Any, transaction: bool) -> None:
    """The others are carried out all the same."""
    pipeline = filled.pipeline(transaction=transaction)
    pipeline.hget("text", "a")
    pipeline.set("new", "1")
    refused, done = pipeline.execute(raise_on_error=False)
    assert isinstance(refused, kinds_of(ResponseError))
    assert "WRONGTYPE" in str(refused)
    assert done is True
    pipeline.hget("text", "a")
    with pytest.raises(kinds_of(ResponseError), match="WRONGTYPE"):
        pipeline.execute()


def test_transaction_with_a_command_that_is_none_is_not_carried_out(filled: Any, client: redis.Redis) -> None:
    """The server refuses it as a whole; the error is that of the command."""
    pipeline = filled.pipeline(transaction=True)
    pipeline.set("new", "1")
    pipeline.execute_command("NOSUCH")
    with pytest.raises(kinds_of(ResponseError), match="unknown command"):
        pipeline.execute()
    assert client.exists("new") == 0
    assert filled.get("text") == b"a"


def test_watched_key_that_is_changed_ends_the_transaction(filled: Any, client: redis.Redis) -> None:
    """Between watch and multi commands are answered at once; afterwards nothing of it was carried out, and it can begin again."""
    with filled.pipeline(transaction=True) as pipeline:
        pipeline.watch("text")
        assert pipeline.get("text") == b"a"
        pipeline.multi()
        pipeline.set("text", "mine")
        client.set("text", "theirs")
        with pytest.raises(kinds_of(WatchError)):
            pipeline.execute()
    assert client.get("text") == b"theirs"
    with filled.pipeline(transaction=True) as pipeline:
        pipeline.watch("text")
        pipeline.multi()
        pipeline.set("text", "mine")
        assert pipeline.execute() == [True]
    assert client.get("text") == b"mine"


def test_watch_that_is_left_watches_no_more(filled: Any, client: redis.Redis) -> None:
    """Whoever leaves in between gives the connection back without it."""
    with filled.pipeline(transaction=True) as pipeline:
        pipeline.watch("text")
    client.set("text", "theirs")
    pipeline = filled.pipeline(transaction=True)
    pipeline.set("text", "mine")
    assert pipeline.execute() == [True]


def test_unwatch_lets_the_transaction_go_on(filled: Any, client: redis.Redis) -> None:
    """What was watched may change."""
    with filled.pipeline(transaction=True) as pipeline:
        pipeline.watch("text")
        client.set("text", "theirs")
        assert pipeline.unwatch() is True
        pipeline.set("text", "mine")
        assert pipeline.execute() == [True]


def test_connection_by_hand_gives_replies_as_they_come(filled: Any) -> None:
    """What the ledger does to read in batches: packed commands, replies one by one, and the connection given back."""
    pool = filled.connection_pool
    connection = pool.get_connection()
    connection.send_packed_command([*connection.pack_commands([("GET", "text"), ("HGET", "text", "a")])])
    assert connection.read_response() == b"a"
    with pytest.raises(kinds_of(ResponseError), match="WRONGTYPE"):
        connection.read_response()
    connection.send_command("XRANGE", "stream", "-", "+")
    assert connection.read_response() == [[b"1-1", [b"event", b"1"]]]
    pool.release(connection)
    assert exchange(filled, [("HGETALL", "hash")]) == [[b"a", b"1", b"b", b"\xff"]]


def test_connection_that_is_left_with_a_reply_on_the_way_is_of_use_to_the_next(filled: Any) -> None:
    """The reply belongs to nobody else."""
    pool = filled.connection_pool
    connection = pool.get_connection()
    connection.send_command("GET", "text")
    connection.disconnect()
    pool.release(connection)
    assert filled.hget("hash", "a") == b"1"


def test_large_text_comes_and_goes_whole(asked: Any) -> None:
    """Longer than what is read, or sent, at once."""
    text = os.urandom(1_000_000)
    asked.set("text", text)
    assert asked.mget(["text", "text"]) == [text, text]


# --- scripts -----------------------------------------------------------------------------------------------------


def test_script_is_taught_to_a_server_that_does_not_know_it(asked: Any, client: redis.Redis) -> None:
    """By its hash, and with its text where the server was started anew."""
    script = asked.register_script("return {KEYS[1], ARGV[1]}")
    client.script_flush()
    with pytest.raises(kinds_of(NoScriptError)):
        asked.evalsha(script.sha, 1, "key", "argument")
    assert script(keys=["key"], args=["argument"]) == [b"key", b"argument"]
    assert asked.evalsha(script.sha, 1, "key", "argument") == [b"key", b"argument"]
    assert asked.script_flush() is True


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_refusal_has_the_words_of_the_server(filled: Any) -> None:
    """And the client goes on."""
    with pytest.raises(kinds_of(ResponseError), match="WRONGTYPE"):
        filled.hget("text", "a")
    with pytest.raises(kinds_of(ResponseError), match=r"^unknown command"):
        filled.execute_command("NOSUCH")
    assert filled.get("text") == b"a"


def test_argument_that_cannot_be_sent_is_refused_before_anything_is_sent(filled: Any) -> None:
    """None is no value, and a lone surrogate no text."""
    with pytest.raises(kinds_of(UnsendableError)):
        filled.set("text", None)
    with pytest.raises(UnicodeEncodeError):
        filled.set("text", "\ud800")
    assert filled.get("text") == b"a"


def test_server_that_is_gone_is_told_and_one_that_is_back_is_used(connect: Connect, folder: Path) -> None:
    """A connection that the server closed is opened again before it is used."""
    server = EmbeddedServer(folder)
    server.start()
    client = connect(folder / "redis.sock")
    client.set("text", "a")
    kill_server(folder)
    with pytest.raises(kinds_of(LostConnectionError), match=r"connecting to .*redis\.sock"):
        client.get("text")
    server.start()
    assert client.get("text") == b"a"
    client.close()
    assert client.get("text") == b"a"
    client.close()


def test_child_process_has_connections_of_its_own(filled: Any, client: redis.Redis) -> None:
    """After a fork both go on, and neither gets the other's replies."""
    number = filled.execute_command("CLIENT", "ID")
    child = os.fork()
    if child == 0:
        os._exit(0 if filled.execute_command("CLIENT", "ID") != number and filled.set("from", "child") else 1)
    assert [filled.hget("hash", "a") for _ in range(50)] == [b"1"] * 50
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert filled.execute_command("CLIENT", "ID") == number
    assert client.get("from") == b"child"


@pytest.fixture(scope="module")
def hostile(server_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    place = tmp_path_factory.mktemp("contract") / "redis.sock"
    with hostile_server(server_socket, place) as server:
        yield server


@contextmanager
def attacked(connect: Connect, hostile: HostileServer, command: bytes, answer: str) -> Iterator[Any]:
    """A client of a server that answers `command` so."""
    hostile.be_honest()
    client = connect(Path(hostile.url.removeprefix("unix://")))
    client.set("text", "a")
    hostile.attack(command, 0, ANSWERS[answer])
    try:
        yield client
        hostile.be_honest()
        assert client.get("text") == b"a", "the next question is answered as if nothing had been"
    finally:
        hostile.be_honest()
        client.close()


HARM: Final[dict[str, tuple[bytes, type[RedisError]]]] = {
    "number": (b"GET", UnfitReplyError),
    "list of texts": (b"GET", UnfitReplyError),
    "RESP3 push": (b"GET", InvalidReplyError),
    "web page": (b"GET", InvalidReplyError),
    "noise": (b"GET", InvalidReplyError),
    "status that is no UTF-8": (b"SET", UnfitReplyError),
    "error that is no UTF-8": (b"GET", ResponseError),
    "deep list": (b"GET", RedisError),
    "huge count": (b"HGETALL", OversizedReplyError),
    "huge counts in a huge count": (b"HGETALL", RedisError),
    "endless text": (b"GET", OversizedReplyError),
    "negative length": (b"GET", InvalidReplyError),
    "closed in the middle": (b"GET", LostConnectionError),
    "drip": (b"GET", OverdueReplyError),
    "silence": (b"GET", OverdueReplyError),
    "half, then silence": (b"GET", OverdueReplyError),
    "loading": (b"GET", BusyLoadingError),
    "error": (b"GET", ResponseError),
    "empty list": (b"EXEC", UnfitReplyError),
    "nil list": (b"EXEC", UnfitReplyError),
}
"""What a server answers, and to what; and the error that this is."""


QUESTIONS: Final[dict[bytes, Callable[[Any], Any]]] = {
    b"EXEC": lambda client: client.pipeline(transaction=True).get("text").execute(),
    b"GET": lambda client: client.get("text"),
    b"HGETALL": lambda client: client.hgetall("text"),
    b"SET": lambda client: client.set("text", "a"),
}


@pytest.mark.parametrize("answer", HARM)
def test_harm_is_the_same_error_and_the_connection_is_not_used_again(
    connect: Connect, hostile: HostileServer, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong shapes, lies about lengths, floods, drips and silence, within the bounds of each client."""
    for module in (bounded_client, socket_connection):
        monkeypatch.setattr(module, "EXCHANGE_SECONDS_MAX", SECONDS_MAX)
    monkeypatch.setattr(socket_connection, "OWN_REPLY_BYTES_MAX", 100_000)
    monkeypatch.setattr(socket_connection, "OWN_REPLY_ELEMENTS_MAX", 100_000)
    command, kind = HARM[answer]
    with attacked(connect, hostile, command, answer) as client, pytest.raises(kinds_of(kind)):
        QUESTIONS[command](client)


def test_lost_connection_that_is_explained_says_how_the_server_ended(server_socket: Path) -> None:
    """Only the town's own server has somebody to ask; of which process, the connection knows."""
    asked: list[int | None] = []

    def explain(process: int | None) -> None:
        asked.append(process)

    client = socket_client.SocketClient(str(server_socket), explain)
    process = client.info("server")["process_id"]
    client.connection_pool._path = "/no/such/socket"
    for connection in client.connection_pool._idle:
        connection._path = "/no/such/socket"
        connection.disconnect()
    with pytest.raises(LostConnectionError):
        client.ping()
    assert asked == [process]
    client.close()


def test_method_that_the_small_client_does_not_have_is_redis_pys(filled: Any) -> None:
    """Programs that were written for redis-py's client go on."""
    assert filled.strlen("text") == 1
    assert filled.object("encoding", "text") == b"embstr"
    with pytest.raises(AttributeError):
        filled.no_such_method()
