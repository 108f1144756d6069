"""What a town needs of a server at a URL: an answer in time, TLS where it is asked for, and the rights that the docs list."""

from __future__ import annotations

import re
import shlex
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.support.clusters import Node
from tests.support.tt import Tt, run_here
from town import Town
from town.server import bounded_client

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-a-remote-server.md"
SECONDS = 0.3


@pytest.fixture
def tt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tt:
    """`tt` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_here, capsys)


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A server of its own."""
    running = Node(tmp_path_factory.mktemp("node"))
    yield running
    running.kill()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and bytes, and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        for each in taken:
            each.close()


@pytest.mark.parametrize(
    "scheme", ["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"]
)
def test_address_that_never_answers_ends_within_the_limit(
    scheme: str, silent_port: int, tt: Tt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with TLS, which waited a minute for a greeting; the error says that it was TLS."""
    monkeypatch.setattr(bounded_client, "CONNECT_SECONDS_MAX", SECONDS)
    monkeypatch.setattr(bounded_client, "EXCHANGE_SECONDS_MAX", 30.0)
    url = f"{scheme}://:secret@127.0.0.1:{silent_port}{'/main' if 'sentinel' in scheme else ''}"
    ran = tt("init", "--url", url)
    assert ran.code == 4, ran
    assert ("TLS" in ran.err) == scheme.startswith("rediss")
    assert "secret" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_rights_in_the_docs_are_enough(node: Node, tt: Tt) -> None:
    """A user with the ACL line of the page can do everything; what needs INFO and CONFIG is said to be unknown."""
    found = re.search(r"^ACL SETUSER (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    node.ask("ACL", "SETUSER", *(each.replace("my-town", "demo") for each in shlex.split(found[1])))
    assert tt("init", "--name", "demo", "--url", f"redis://ledger:PASSWORD@{node.address}").code == 0
    for line in (
        "assign ada Fix --alias fix",
        "task start fix --actor ada",
        "task complete fix --actor ada",
        "backlog add Later",
        "next ada",
        "tasks",
        "ready --explain",
        "log",
        "search fix",
        "rebuild",
        "verify",
        "migrate",
        "projector --once",
        "work ada --once -- true",
        "export out.jsonl",
        "doctor",
        "status",
    ):
        ran = tt(*shlex.split(line))
        assert ran.code == (1 if line == "doctor" and ran.code == 1 else 0), f"{line}: {ran}"
    status = tt("status").out
    assert re.search(r"up, (Valkey|Redis) \d", status)
    assert "unknown" in status
    doctor = tt("doctor").out
    assert "the user in the URL may not ask (INFO)" in doctor


def test_version_is_known_without_the_right_to_ask_for_information(node: Node, tmp_path: Path) -> None:
    """The greeting tells it, which every user may have."""
    node.ask("ACL", "SETUSER", "bare", "on", ">x", "allkeys", "+@all", "-@dangerous")
    with Town.init(tmp_path / "t", name="bare", url=f"redis://bare:x@{node.address}", is_registered=False) as town:
        assert town.create("a").task.version == 1
        assert re.fullmatch(r"(Valkey|Redis) \d+(\.\d+)+", town.connection.version())
