"""Towns and their own servers for tests: a plain client, the server's pid, and an end to it whatever happened."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.waiting import wait_until
from town import grant_trust, look_at_trust
from town.errors import ServerStartError
from town.folder.settings import DATA_FOLDER
from town.server.own_server import EmbeddedServer
from town.server.socket_path import SocketPath


def trust(folder: Path) -> None:
    """Allow what the folder's files, which a test wrote by hand, lead to."""
    grant_trust(look_at_trust(folder))


@contextmanager
def client_of(folder: Path) -> Iterator[redis.Redis]:
    """A plain client of the server in `folder`, without retries."""
    path = SocketPath(folder)
    client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
    try:
        yield client
    finally:
        client.close()
        path.close()


def server_pid(folder: Path) -> int:
    """The process id that the server in `folder` reports."""
    with client_of(folder) as client:
        information: dict[str, int] = client.info("server")  # type: ignore[assignment]  # redis-py types it for both faces
    return information["process_id"]


def kill_server(folder: Path) -> int:
    """Kill the server in `folder` with SIGKILL; returns its process id once it is gone."""
    pid = server_pid(folder)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    return pid


def end_server(folder: Path) -> None:
    """Leave no server behind in `folder`: shut it down, then kill whatever still runs in its data folder."""
    if not (folder / DATA_FOLDER).is_dir():
        return
    with contextlib.suppress(redis.RedisError, ServerStartError), client_of(folder) as client:
        client.ping()
        EmbeddedServer(folder).stop()
    # A launcher that is broken may say that nothing runs; the processes themselves know better.
    for pid in _pids_in(folder / DATA_FOLDER):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]  # bound per turn


def is_alive(pid: int) -> bool:
    """Whether any thread of the process runs and so holds its files; one that ended and was not waited for does not."""
    process = Path(f"/proc/{pid}")
    try:
        threads = len(list((process / "task").iterdir()))
        state = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return threads > 1 or state not in "ZX"


def _pids_in(folder: Path) -> Iterator[int]:
    """The processes whose working folder is `folder`: a server moves into its data folder as it starts."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == folder.resolve():
                    yield int(process.name)
