"""What tests of the web face get: a town with a past, and a client of an application that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.histories import Filler
from tests.support.towns import end_server
from town import Town
from web.app import make_app
from web.towns import ServedTown, Towns

HOST = "127.0.0.1:8177"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town on its own server, with some history."""
    with Town.init(tmp_path / "town", name="shown", actor="owner", is_registered=False) as opened:
        Filler(opened.backend.store, seed=5, tasks=15).fill(150)
        opened.upkeep.catch_up()
        yield opened
    end_server(tmp_path / "town")


@pytest.fixture
def client(town: Town) -> Iterator[TestClient]:
    """A client on this machine of a server that serves the town alone."""
    with closing(Towns({"shown": ServedTown(town.folder, "shown", actor=None)})) as towns:
        yield TestClient(make_app(towns, hosts=[HOST]), base_url=f"http://{HOST}", raise_server_exceptions=False)
