"""The two clients of one real server: redis-py's, as a server at a URL is reached, and the small one of a town's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ledger import StoreUnavailableError
from tests.support.towns import end_server
from town.server.bounded_client import client_of_url
from town.server.socket_client import SocketClient

Connect = Callable[[Path], Any]
"""From a socket to a client of the server there."""


def _by_redis_py(socket: Path) -> redis.Redis:
    return client_of_url(f"unix://{socket}")


def _by_socket(socket: Path) -> SocketClient:
    def explain(_: int | None) -> StoreUnavailableError | None:
        return None

    return SocketClient(str(socket), explain)


@pytest.fixture(params=[_by_redis_py, _by_socket], ids=["redis-py", "socket"])
def connect(request: pytest.FixtureRequest) -> Connect:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def asked(connect: Connect, server_socket: Path, client: redis.Redis) -> Iterator[Any]:
    """The client that is asked; `client`, which is redis-py's plain one, sees what it does to the same empty database."""
    del client
    asked = connect(server_socket)
    yield asked
    asked.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; a server started in it is gone after the test."""
    place = tmp_path / "place"
    place.mkdir()
    yield place
    end_server(place)
