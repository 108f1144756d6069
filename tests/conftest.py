"""What every test gets: a home of its own, and one real server for its worker's session where it asks for it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from ledger import EventStore, Keys
from projections import LiveBoard, Projector
from tests.support.servers import running_server
from tests.support.signals import heed_signals


def pytest_configure() -> None:
    heed_signals()
    # More than a thousand processes are started, and each would compile the program for itself, which takes longer than its work.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    # One more than there are cores, because a third of the time is spent on waiting for servers and processes.
    return len(os.sched_getaffinity(0)) + 1 if sys.platform == "linux" else (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    # Ten thousand tests stay in memory to the end. Looking through them for garbage again and again took a tenth of the time.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New empty folders without an end. They lie apart: `mktemp` takes the longer the more it has made in one place."""
    above = tmp_path_factory.mktemp("homes")

    def make() -> Iterator[Path]:
        for number in count():
            home = above / str(number)
            home.mkdir(mode=0o700)
            yield home

    return make()


@pytest.fixture(autouse=True)
def own_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the developer's towns, `~/.tt`, server or name."""
    home = next(homes)
    monkeypatch.setenv("HOME", str(home))
    for name in (
        *("REDIS_URL", "TT_ACTOR", "TT_CACHE", "TT_SERVER_BINARY", "TT_TOWN", "TT_TRUST", "XDG_CACHE_HOME"),
        *("NO_COLOR", "FORCE_COLOR"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TT_ACTOR", "tester")
    monkeypatch.setenv("TZ", "UTC")
    return home


@pytest.fixture(scope="session")
def server_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a real embedded server that lives as long as the test session; each worker has one."""
    with running_server(tmp_path_factory.mktemp("server")) as socket:
        yield socket


@pytest.fixture
def client(server_socket: Path) -> Iterator[redis.Redis]:
    """A client of the real server, whose database is empty before each test."""
    client = redis.Redis(unix_socket_path=str(server_socket))
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def keys() -> Keys:
    """The keys of a town that no other test has."""
    return Keys(f"town-{uuid4().hex[:8]}")


@pytest.fixture
def store(client: redis.Redis, keys: Keys) -> EventStore:
    return EventStore(client, keys)


@pytest.fixture
def projector(client: redis.Redis, keys: Keys) -> Projector:
    return Projector(client, keys)


@pytest.fixture
def live(client: redis.Redis, keys: Keys) -> LiveBoard:
    return LiveBoard(client, keys)
