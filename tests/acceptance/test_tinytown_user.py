"""A Tinytown user comes over: from the layout of each version, with the keys that the real programs left, and back."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from ledger import Keys, State
from tests.support.adopted import AGENT_ID, LOST_AGENT_ID, Standing, write_agent, write_record
from tests.support.builders import task_id
from tests.support.markdown import DOCS, blocks, section
from tests.support.old_towns import contents, dump
from tests.support.tinytown import (
    PASSWORD,
    REAL_KEYS,
    free_port,
    load_keys,
    make_hashes,
    tinytowns_server,
    write_programs,
    write_settings,
)
from tests.support.towns import client_of, trust
from tests.support.traps import Listener
from tests.support.tt import Tt

GUIDE = (DOCS / "howto" / "upgrade-from-tinytown.md").read_text(encoding="utf-8")


def fill(client: redis.Redis) -> None:
    """Two tasks as `sync push` of Tinytown leaves them, one that an agent has, and one in the backlog."""
    write_agent(client, "demo")
    done = Standing(State.COMPLETED, None, is_started=False, has_ended=True, result="Completed via sync")
    failed = Standing(State.FAILED, None, is_started=False, has_ended=True, result="Failed via sync")
    write_record(client, done.record(1, tags=["plan:login"]))
    write_record(client, failed.record(2, tags=["plan:logo"]))
    write_record(client, Standing(State.ASSIGNED, AGENT_ID, False, False, None).record(3))
    write_record(client, Standing(State.PENDING, None, False, False, None).record(4))
    client.rpush("tt:backlog", task_id(4))


class Layout(NamedTuple):
    """A town of Tinytown: where its server listens and saves, the heading of the guide, and which of its blocks applies."""

    socket: str | None
    heading: str
    block: int
    is_up: bool


LAYOUTS = {
    "central": Layout(None, "### The central server", 0, is_up=True),
    "central, down": Layout(None, "### The central server", 1, is_up=False),
    "socket in .tt": Layout(".tt/redis.sock", "### The socket in .tt", 0, is_up=True),
    "socket in .tt, down": Layout(".tt/redis.sock", "### The socket in .tt", 1, is_up=False),
    "socket of 0.5": Layout("redis.sock", "### The socket beside tinytown.toml", 0, is_up=True),
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("name", LAYOUTS)
def test_guide_leads_from_every_layout_and_back(
    name: str, folder: Path, own_home: Path, tmp_path: Path, tt: Tt, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines as they stand there, in a town of each version: all tasks come over, a push changes nothing, and back is back."""
    layout = LAYOUTS[name]
    port = free_port() if layout.socket is None else None
    write_settings(folder, socket_path=layout.socket or ".tt/redis.sock", port=port)
    data = folder if port is None else own_home / ".tt"
    path = None if layout.socket is None else folder / layout.socket
    monkeypatch.setenv("PATH", write_programs(tmp_path / "bin"))
    with tinytowns_server(data, path=path, port=port or 0) as client:
        fill(client)
        before = dump(client)
        if not layout.is_up:
            client.save()
        if layout.is_up:
            trust(folder)
            steps = [block.text for block in blocks(section(GUIDE, layout.heading)) if block.language == "sh"]
            subprocess.run(["sh", "-e", "-c", steps[layout.block]], check=True, cwd=folder)
    if not layout.is_up:
        trust(folder)
        steps = [block.text for block in blocks(section(GUIDE, layout.heading)) if block.language == "sh"]
        subprocess.run(["sh", "-e", "-c", steps[layout.block]], check=True, cwd=folder)
    assert [task["description"] for task in tt("task", "list", "--json").json["tasks"]] == [f"Task {n}" for n in (1, 2, 3, 4)]
    assert tt("sync", "pull").code == 0
    assert "nothing was appended" in tt("sync", "push").out
    assert tt("verify").code == 0

    back = [block.text for block in blocks(section(GUIDE, "### Go back to Tinytown's server")) if block.language == "sh"]
    subprocess.run(["sh", "-e", "-c", back[0]], check=True, cwd=folder)
    with tinytowns_server(data, path=path, port=port or 0) as client:
        assert dump(client) == before
