"""Imports on a real server: how much they ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from redis.connection import AbstractConnection

from town import Town


@pytest.fixture
def town(tmp_path: Path, client: redis.Redis, server_socket: Path) -> Iterator[Town]:
    """A town on the session's server."""
    assert client.ping()
    url = f"unix://{server_socket}"
    with Town.init(tmp_path / "here", name="demo", url=url, actor="eve", is_registered=False) as opened:
        yield opened


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one with each round trip of a client in this process."""
    trips: list[None] = []
    send = AbstractConnection.send_packed_command

    def send_and_count(self: AbstractConnection, *arguments: Any, **options: Any) -> Any:
        trips.append(None)
        return send(self, *arguments, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AbstractConnection, "send_packed_command", send_and_count)
    return trips


def write_export(folder: Path, *, tombstones: int) -> Path:
    path = folder / "issues.jsonl"
    issues = [{"id": "bd-0", "title": "x"}]
    issues += [{"id": f"bd-{number}", "title": "x", "status": "tombstone"} for number in range(1, tombstones + 1)]
    path.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues))
    return path


def calls(client: redis.Redis) -> int:
    """How many commands the server has carried out, those that scripts call among them."""
    statistics = cast("dict[str, dict[str, int]]", client.info("commandstats"))
    return sum(each["calls"] for each in statistics.values())


def test_tombstones_of_removed_tasks_cost_one_question_for_all(
    town: Town, client: redis.Redis, sent: list[None]
) -> None:
    """40 of them take no more round trips than 2, and one look-up each. It once was 21 commands for each, one by one."""
    made = town.folder / "made.jsonl"
    made.write_text("".join(f'{{"id":"bd-{number}","title":"x"}}\n' for number in range(41)))
    town.imports.beads(made)
    town.imports.beads(write_export(town.folder, tombstones=40))
    trips: list[int] = []
    commands: list[int] = []
    for tombstones in (2, 40):
        export = write_export(town.folder, tombstones=tombstones)
        before = len(sent), calls(client)
        assert town.imports.beads(export).positions == ()
        trips.append(len(sent) - before[0])
        commands.append(calls(client) - before[1])
    assert trips[0] == trips[1] > 0
    assert commands[1] - commands[0] <= 40 - 2


def test_removed_task_that_is_back_is_no_removed_one(town: Town) -> None:
    """A tombstone removes a task that was made again after an earlier removal."""
    export = write_export(town.folder, tombstones=1)
    for _ in range(2):
        made = town.folder / "made.jsonl"
        made.write_text('{"id":"bd-1","title":"x"}\n')
        assert town.imports.beads(made).created == 1
        assert town.imports.beads(export).removed == 1
    assert [step.event.type for step in town.history("bd-1")] == ["task.created", "task.removed"] * 2
