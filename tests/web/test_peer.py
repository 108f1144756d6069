"""Without tokens the server is its owner's alone, also on a machine with several users."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.support.serving import serving
from tests.support.towns import end_server
from town import Town
from web.peer import uid_of

NOBODY: Final = 65_534
ASK: Final = """
import os, socket, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
# Nothing is imported from here on: another user cannot read the folders of Python everywhere.
asking = socket.socket()
asking.settimeout(20)
asking.connect(("127.0.0.1", {port}))
try:
    asking.sendall({request!r})
except OSError:
    pass
answer = b""
while piece := asking.recv(65536):
    answer += piece
os.write(1, answer)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with Town.init(tmp_path / "town", name="owned", is_registered=False):
        pass
    yield tmp_path / "town"
    end_server(tmp_path / "town")


def ask_as(uid: int, port: int, *, token: str | None = None) -> tuple[int, str]:
    """Status and body of a command that another user of this machine sends."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    body = b'{"description": "by another"}'
    lines = [
        "POST /api/v1/tasks HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *([] if token is None else [f"Authorization: Bearer {token}"]),
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    program = ASK.format(uid=uid, port=port, request=request)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60, cwd="/")
    head, _, answer = ran.stdout.decode().partition("\r\n\r\n")
    return int(head.split()[1]), answer


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
        status, body = ask_as(NOBODY, served.port)
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
        assert ask_as(NOBODY, served.port, token=token)[0] == 201
        assert ask_as(NOBODY, served.port)[0] == 401
