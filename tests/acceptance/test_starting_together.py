"""Many processes at once: one server, and nothing lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from tests.support.projectors import background_projectors
from tests.support.towns import client_of
from tests.support.tt import Tt, start_process
from tests.support.waiting import wait_until
from town.server.own_server import EmbeddedServer

OPENING_COMMANDS_MAX = 20
"""More than a worker asks for before it stands by."""


@pytest.mark.parametrize("workers", [0, 2])
def test_twelve_processes_in_a_stopped_town_start_one_server(tt: Tt, town: Path, tmp_path: Path, workers: int) -> None:
    """Twelve commands at once in a stopped town: each is acknowledged and kept, and exactly one server was started.

    Without projector workers, and with two that wait for the server and do not start a second one.
    """
    with background_projectors(workers, folder=town, logs=tmp_path) as projectors:
        if workers:
            with client_of(town) as client:
                # One follows and the other stands by: whoever still opened the town would start its server.
                wait_until(lambda: one_follows_and_one_stands_by(client))
        tt("stop")
        wait_until(lambda: all(projector.err for projector in projectors))
        log = town / ".tt" / "server.log"
        started_before = log.read_text().count("is starting")
        processes = [start_process("assign", f"agent-{number}", f"Task {number}", folder=town) for number in range(12)]
        for process in processes:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert "assigned to agent-" in out
    assert log.read_text().count("is starting") - started_before == 1
    listed = tt("task", "list", "--json").json
    assert {task["description"] for task in listed["tasks"]} == {f"Task {number}" for number in range(12)}
    assert [event["number"] for event in tt("events", "--count", "100", "--json").json["events"]] == list(range(1, 25))


def test_one_claim_of_many_wins(tt: Tt, town: Path) -> None:
    """Of eight agents that claim one task at the same moment, one gets it and the others are refused with its name."""
    task = tt("backlog", "add", "Only one can have it", "--json").json["task"]["id"]
    processes = [start_process("backlog", "claim", task, f"agent-{number}", folder=town) for number in range(8)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert sorted(code for _, code in ended) == [0] + [1] * 7
    winner = tt("task", "show", task, "--json").json["task"]["assigned_to"]
    assert all(f"is with {winner}" in err for (_, err), code in ended if code)
    assert len(tt("task", "history", task, "--json").json["events"]) == 2


def test_killed_server_is_started_by_the_next_command(tt: Tt, town: Path) -> None:
    """After kill -9, the next command finds everything that was acknowledged."""
    tt("assign", "ada", "Kept")
    client = redis.Redis(unix_socket_path="redis.sock")
    pid = int(cast("dict[str, Any]", client.info("server"))["process_id"])
    client.close()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not EmbeddedServer(town).is_running())
    assert [task["description"] for task in tt("task", "list", "--json").json["tasks"]] == ["Kept"]
    assert tt("assign", "ada", "After").code == 0


def test_town_in_a_deep_folder_works(tt: Tt, folder: Path) -> None:
    """A town deeper than 200 characters works, though a socket address holds only 107 bytes."""
    deep = folder.joinpath(*["a-rather-deep-folder"] * 12)
    assert len(str(deep)) > 200
    try:
        assert tt("init", "--town", str(deep), "--name", "deep").code == 0
        assert tt("assign", "ada", "Deep work", "--town", str(deep)).code == 0
        assert "Deep work" in tt("tasks", "--town", str(deep)).out
        assert tt("stop", "--town", str(deep)).code == 0
        assert "Deep work" in tt("tasks", "--town", str(deep)).out
    finally:
        EmbeddedServer(deep).stop()


def one_follows_and_one_stands_by(client: redis.Redis) -> bool:
    """One waits for events; the other asks for the lease again and again, long after it opened the town."""
    others = [each for each in cast("list[dict[str, str]]", client.client_list()) if each["cmd"] != "client|list"]
    following = [each for each in others if each["cmd"] == "xread"]
    standing_by = [each for each in others if each not in following and int(each["tot-cmds"]) > OPENING_COMMANDS_MAX]
    return len(following) == len(standing_by) == 1
