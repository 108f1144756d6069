"""Without tokens the server is its owner's alone, also on a machine with several users."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.support.other_user import ask_as_nobody
from tests.support.serving import serving
from tests.support.towns import end_server
from town import Town
from town.server.loopback_peer import uid_of

COMMAND: Final = "/api/v1/tasks", b'{"description": "by another"}'


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with Town.init(tmp_path / "town", name="owned", is_registered=False):
        pass
    yield tmp_path / "town"
    end_server(tmp_path / "town")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_user_of_a_connection_is_told(family: socket.AddressFamily) -> None:
    """By both kinds of addresses; of a connection that is not there, nothing is told."""
    host = "127.0.0.1" if family is socket.AF_INET else "::1"
    try:
        listening = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with closing(listening), closing(socket.create_connection(listening.getsockname()[:2])) as connected:
        own, peer = listening.getsockname()[:2], connected.getsockname()[:2]
        assert uid_of(peer, own) == os.geteuid()
        assert uid_of((host, 1), own) is None


def test_another_user_of_the_machine_is_refused(folder: Path) -> None:
    """Before anything is asked, with words; nothing is written, and the owner is served."""
    with serving(folder) as served:
        status, body = ask_as_nobody(served.port, *COMMAND)
        problem = json.loads(body)
        assert (status, problem["status"]) == (403, 403)
        assert "--token-file" in problem["detail"]
        assert served.request("POST", "/api/v1/tasks", {"description": "by the owner"})[0] == 201
        assert served.request("GET", "/api/v1")[1]["end"]["number"] == 1


def test_another_user_with_a_token_is_served(folder: Path, tmp_path: Path) -> None:
    """A token tells who it is."""
    token = "a-token-of-enough-characters"
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ben write {token}\n", encoding="utf-8")
    tokens.chmod(0o600)
    with serving(folder, "--token-file", str(tokens)) as served:
        assert ask_as_nobody(served.port, *COMMAND, f"Authorization: Bearer {token}")[0] == 201
        assert ask_as_nobody(served.port, *COMMAND)[0] == 401
