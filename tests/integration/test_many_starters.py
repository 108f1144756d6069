"""Many processes at once in a stopped town: one of them starts the server, all of them do their work."""

from __future__ import annotations

from pathlib import Path

from ledger import EventStore
from projections import replay
from tests.support.expected_keys import assert_projected
from tests.support.processes import run_at_once
from tests.support.towns import client_of, kill_server
from town import EmbeddedServer, Town

STARTERS = 12
_STARTED = "Valkey is starting"


def starts_in_log(folder: Path) -> int:
    return (folder / ".tt" / "server.log").read_text(encoding="utf-8").count(_STARTED)


def create_at_once(folder: Path) -> None:
    run_at_once("create_one", [(folder, number) for number in range(STARTERS)])


def assert_nothing_is_lost(folder: Path, *, events: int) -> None:
    with Town.open(folder) as town, client_of(folder) as client:
        recorded = town.events.last(count=None)
        assert [event.position.seq for event in recorded] == list(range(1, events + 1))
        assert {event.actor for event in recorded} == {f"starter-{number}" for number in range(STARTERS)}
        assert len({event.task for event in recorded}) == events
        store = EventStore(client, town.keys)
        assert_projected(client, town.keys, replay(store))


def test_many_starters_of_a_stopped_town_start_one_server(folder: Path) -> None:
    """Twelve processes open a stopped town and create a task: one server starts, and all twelve tasks are there."""
    Town.init(folder, name="busy").close()
    EmbeddedServer(folder).stop()
    before = starts_in_log(folder)
    create_at_once(folder)
    assert starts_in_log(folder) == before + 1
    assert_nothing_is_lost(folder, events=STARTERS)


def test_many_starters_after_a_kill_start_one_server(folder: Path) -> None:
    """The same after SIGKILL, which leaves socket and lock file behind, with twelve events to load."""
    for number in range(STARTERS):
        with Town.init(folder, name="busy", actor=f"starter-{number}") as town:
            town.create("before the kill")
    kill_server(folder)
    before = starts_in_log(folder)
    create_at_once(folder)
    assert starts_in_log(folder) == before + 1
    assert_nothing_is_lost(folder, events=2 * STARTERS)
