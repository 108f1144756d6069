"""Migrations killed with SIGKILL before and after their requests: run again, each ends as one that was not interrupted.

The whole server is compared: every key and byte, sequence numbers too, and only the milliseconds in positions left out.
The short form kills at a sample of the steps; TT_STRESS=1 kills before and after every step, at least 100 times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from ledger import Keys
from tests.integration.test_crash_matrix import Process
from tests.support import old_towns
from tests.support.builders import task_id
from tests.support.losses import start_over
from tests.support.old_towns import MIXED, TOWN, contents, fill, fill_many, migrate, old_town
from tests.support.processes import READY
from tests.support.waiting import wait_until
from town import Town
from town.migration.migration import LEASE_NAME

SAMPLE: Final = (20, 25, 29, 31, 34, 36, 37, 41, 48, 60)
_KILLS_MIN: Final = 100
_REST_MS: Final = 10
_REBUILD_FIRST: Final = 20
_REBUILD_STRIDE: Final = 9
_REBUILD_KILLS_MIN: Final = 8


class Killer:
    """A process that is always ready for the next kill."""

    def __init__(self, client: redis.Redis, socket: Path, folder: Path) -> None:
        self._client = client
        self._socket = socket
        self._folder = folder
        self._next = Process()

    def kill_at(
        self, number: int, *, is_after: bool, prepare: Callable[[redis.Redis, Town], None] | None = None
    ) -> bool:
        """Whether a migration of all fixtures, `prepare`d further, was killed at its `number`-th request; False where it got through."""
        start_over(self._client)
        process, self._next = self._next, Process()
        with old_town(self._client, self._socket, self._folder, *MIXED) as town:
            if prepare is not None:
                prepare(self._client, town)
            process.expect(READY)
            process.tell(
                json.dumps({"work": "migrate", "folder": str(town.folder), "number": number, "is_after": is_after})
            )
        try:
            return process.was_killed()
        finally:
            process.end()

    def finish(self) -> dict[str, Any]:
        """Migrate again, and what the server holds then."""
        # The dead's lease ends by itself, and nobody else may end it. Most of its time is taken off.
        lease = Keys(TOWN).lease(LEASE_NAME)
        self._client.pexpire(lease, _REST_MS, lt=True)
        wait_until(lambda: not self._client.exists(lease))
        with old_town(self._client, self._socket, self._folder) as town:
            migrate(town)
            assert not old_towns.look(town).has_work
        return contents(self._client, Keys(TOWN))

    def close(self) -> None:
        self._next.end()


@pytest.fixture
def killer(
    client: redis.Redis, server_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Killer]:
    monkeypatch.setenv("TT_ACTOR", "ada")
    monkeypatch.setattr("town.migration.survey.ADOPTED_EVENTS_MAX", 7)
    killer = Killer(client, server_socket, tmp_path)
    try:
        yield killer
    finally:
        killer.close()


@pytest.fixture
def unbroken(killer: Killer, client: redis.Redis) -> dict[str, Any]:
    """What a migration leaves that nobody interrupts."""
    fill(client, *MIXED)
    return killer.finish()


def test_migration_killed_at_a_sample_of_its_steps_ends_as_an_unbroken_one(
    killer: Killer, unbroken: dict[str, Any]
) -> None:
    """The short form: some steps of looking, copying, appending, projecting and renaming."""
    for number in SAMPLE:
        for is_after in (False, True):
            assert killer.kill_at(number, is_after=is_after), f"it got through at {number}"
            assert killer.finish() == unbroken, f"killed {'after' if is_after else 'before'} request {number}"


def outdate(client: redis.Redis, town: Town) -> None:
    """Migrated once; then older programs wrote: unreadable keys, over snapshots, new tasks. Its projections are outdated."""
    migrate(town)
    client.hset(town.keys.checkpoint("task"), "schema_version", "0")
    client.set(town.keys.task("by-hand"), "a note")
    client.set(town.keys.task(task_id(21)), "over a snapshot")
    client.hset(town.keys.task(task_id(901)), mapping={"id": task_id(901), "state": "pending"})
    fill_many(client, 20, first=1_000)


def without_generations(found: dict[str, Any]) -> dict[str, Any]:
    """A rebuild that is finished by another one may raise the generation twice."""
    return {
        key: {name: value for name, value in content.items() if name != b"generation"}
        if isinstance(content, dict)
        else content
        for key, content in found.items()
    }


def test_migration_that_rebuilds_killed_at_a_sample_of_its_steps_loses_nothing(
    killer: Killer, client: redis.Redis, server_socket: Path, tmp_path: Path
) -> None:
    """It sets keys aside that are in the way of the rebuild: whatever step it dies at, the next one ends alike."""
    with old_town(client, server_socket, tmp_path, *MIXED) as town:
        outdate(client, town)
    unbroken = without_generations(killer.finish())
    assert {f"tt:demo:legacy:tt:demo:task:{task_id(21)}:2", "tt:demo:legacy:tt:demo:task:by-hand"} <= unbroken.keys()
    kills = 0
    for number in count(_REBUILD_FIRST, _REBUILD_STRIDE):
        if not killer.kill_at(number, is_after=bool(kills % 2), prepare=outdate):
            break
        kills += 1
        assert without_generations(killer.finish()) == unbroken, f"killed at request {number}"
    assert kills >= _REBUILD_KILLS_MIN


@pytest.mark.stress
@pytest.mark.skipif(not os.environ.get("TT_STRESS"), reason="long; TT_STRESS=1 runs it")
def test_migration_killed_at_every_step_ends_as_an_unbroken_one(killer: Killer, unbroken: dict[str, Any]) -> None:
    """Before and after every request, until the migration gets through: at least 100 kills."""
    kills = 0
    failures: list[str] = []
    for is_after in (False, True):
        for number in count(1):
            if not killer.kill_at(number, is_after=is_after):
                break
            kills += 1
            if killer.finish() != unbroken:
                failures.append(f"killed {'after' if is_after else 'before'} request {number}")
    print(f"{kills} kills")  # noqa: T201 - the figure is asked for
    assert not failures, "\n".join(failures)
    assert kills >= _KILLS_MIN
