"""Towns as Tinytown's programs lay them out: their settings, and a server of theirs where each version has it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.waiting import wait_until
from town.server.own_server import find_binary

PASSWORD: Final = "tt_01c6369a8abe54a1"
REAL_KEYS: Final = Path(__file__).parents[3] / "shared" / "data" / "tinytown-0.6-keys.json"
"""What a town of the real program left, key by key, where it is beside this checkout."""

_SETTINGS: Final = """\
name = {name}
default_cli = "claude"
max_agents = 10
use_central_redis = {is_central}

[redis]
use_socket = {use_socket}
socket_path = "{socket_path}"
host = "127.0.0.1"
port = {port}
persist = false
aof_path = ".tt/redis.aof"
{password}tls_enabled = false
bind = "127.0.0.1"

[agent_clis.claude]
name = "claude"
command = "claude --print"
"""
"""The keys that 0.6 and 0.10 write, less those of townhall."""

_HASH_FIELDS: Final = (
    *("id", "description", "state", "assigned_to", "created_at", "updated_at"),
    *("started_at", "completed_at", "result", "parent_id"),
)

_REDIS_CLI: Final = """\
#!{python}
import sys
from _socket import AF_UNIX, socket

from hiredis import Reader, pack_command

reader = Reader(encoding="utf-8")
server = socket(AF_UNIX)


def ask(*words):
    server.sendall(pack_command(words))
    while (answer := reader.gets()) is False:
        piece = server.recv(65_536)
        if not piece:
            raise ConnectionError("the server has ended")
        reader.feed(piece)
    return answer


try:
    server.connect(sys.argv[2])
    if sys.argv[3] == "--scan":
        place = None
        while place != "0":
            place, keys = ask("SCAN", place or "0", "MATCH", sys.argv[5])
            print(*keys, sep="\\n", end="\\n" if keys else "")
    else:
        print(ask(*sys.argv[3:]))
except ConnectionError:
    # The server has ended, as it was told.
    assert sys.argv[3] == "SHUTDOWN"
"""
"""As much of redis-cli as the guide needs; not everybody has one. Guides start it hundreds of times, so it loads little."""


def write_town(
    folder: Path, home: Path, *, name: str = "demo", socket_path: str = ".tt/redis.sock", port: int | None = None
) -> None:
    """What Tinytown's `tt init` makes, but for its server; with `port` that is the central one, with a password."""
    for path in (folder / ".tt" / "logs", home / ".tt"):
        path.mkdir(parents=True, exist_ok=True)
    quoted = msgspec.json.encode(str(folder)).decode()
    (home / ".tt" / "towns.toml").write_text(f'[[towns]]\npath = {quoted}\nname = "{folder.name}"\n', encoding="utf-8")
    text = _SETTINGS.format(
        name=msgspec.json.encode(name).decode(),
        is_central="false" if port is None else "true",
        use_socket="true" if port is None else "false",
        socket_path=socket_path,
        port=6379 if port is None else port,
        password="" if port is None else f'password = "{PASSWORD}"\n',
    )
    (folder / "tinytown.toml").write_text(text, encoding="utf-8")


@contextmanager
def tinytowns_server(data: Path, *, path: Path | None = None, port: int = 0) -> Iterator[redis.Redis]:
    """A server as Tinytown starts one, which keeps its data in `data` and saves it as it ends; at a socket or a port."""
    data.mkdir(parents=True, exist_ok=True)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--loglevel", "warning", "--dir", str(data)]
    if port:
        options += ["--requirepass", PASSWORD]
        client = redis.Redis(port=port, password=PASSWORD, retry=Retry(NoBackoff(), 0))
    else:
        options += ["--unixsocket", str(path), "--unixsocketperm", "700"]
        client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
    with subprocess.Popen([str(find_binary(None)), *options], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(client))
            yield client
        finally:
            client.close()
            process.terminate()


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def write_programs(folder: Path) -> str:
    """`redis-server` and as much of `redis-cli` as a guide needs, in the folder; returns a PATH that begins with it."""
    folder.mkdir(exist_ok=True)
    server, cli = folder / "redis-server", folder / "redis-cli"
    server.write_text(f'#!/bin/sh\nexec {shlex.quote(str(find_binary(None)))} "$@"\n', encoding="utf-8")
    cli.write_text(_REDIS_CLI.format(python=sys.executable), encoding="utf-8")
    for program in (server, cli):
        program.chmod(0o700)
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


def load_keys(client: redis.Redis, file: Path) -> None:
    """Write keys as they were dumped: a name, a type and a value each."""
    writers: dict[str, Any] = {
        "string": client.set,
        "list": lambda key, value: client.rpush(key, *value),
        "hash": lambda key, value: client.hset(key, mapping=value),
        "set": lambda key, value: client.sadd(key, *value),
    }
    for each in msgspec.json.decode(file.read_bytes()):
        writers[each["type"]](each["key"], each["value"])


def make_hashes(client: redis.Redis, pattern: str) -> int:
    """What Tinytown's `tt migrate --hash --force` does to JSON values: each becomes a Hash; how many did."""
    changed = 0
    for key in list(client.scan_iter(match=pattern, _type="string")):
        fields = msgspec.json.decode(cast("bytes", client.get(key)))
        texts = {name: fields[name] for name in _HASH_FIELDS if isinstance(fields.get(name), str)}
        client.delete(key)
        client.hset(key, mapping=texts | {"tags": msgspec.json.encode(fields["tags"]).decode()})
        changed += 1
    return changed
