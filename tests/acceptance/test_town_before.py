"""A town that the program of before the rooms made: every stored byte is as it was, and it is read and continued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from ledger import State
from tests.support.towns import end_server
from town import Town

KEYS: Final[Mapping[str, Mapping[str, Any]]] = json.loads(
    (Path(__file__).parent / "data" / "town-before-rooms.json").read_text(encoding="utf-8")
)["keys"]
LEDGER: Final = "tt:before:ledger"
EVENTS: Final = len(KEYS[LEDGER]["value"])


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town whose server holds what the older program stored."""
    with Town.init(tmp_path / "town", name="before", actor="alice", is_registered=False) as town:
        client = town.connection.client
        for key, stored in KEYS.items():
            value = stored["value"]
            match stored["type"]:
                case "string":
                    client.set(key, value)
                case "hash":
                    client.hset(key, mapping=value)
                case "set":
                    client.sadd(key, *value)
                case "zset":
                    client.zadd(key, value)
                case "stream":
                    for position, event in value:
                        client.xadd(key, {"event": event}, id=position)
        yield town
    end_server(tmp_path / "town")


def stored_events(town: Town) -> list[list[str]]:
    entries: Any = town.connection.client.xrange(LEDGER)
    return [[position.decode(), fields[b"event"].decode()] for position, fields in entries]


def test_older_town_is_as_promised_without_a_rebuild(town: Town) -> None:
    """Heads, checkpoints, snapshots and views, byte for byte; nothing is outdated, and reading writes nothing."""
    assert town.upkeep.find_outdated() is None
    assert town.upkeep.verify().findings == ()
    assert list(town.upkeep.preview_rebuild()) == []
    assert town.page().total == 7
    assert stored_events(town) == KEYS[LEDGER]["value"]
    snapshots = {key: stored["value"] for key, stored in KEYS.items() if ":task:" in key}
    assert {key: town.snapshot_json(key.rpartition(":")[2]).decode() for key in snapshots} == snapshots


def test_older_town_tells_its_whole_story(town: Town) -> None:
    """By alias, by the beginning of an id, of removed tasks, and at every moment."""
    assert [step.event.type for step in town.history("notes")] == [
        "task.created",
        "task.assigned",
        "task.started",
        "task.noted",
        "task.completed",
    ]
    for number in range(1, EVENTS + 1):
        then = town.at(number)
        tasks = then.page().tasks
        assert sum(then.count_states().values()) == len(tasks)
        # Of one task its history is read, of all of them the town is folded.
        assert tuple(then.task(task.id) for task in tasks) == tasks


def test_run_of_an_older_town_is_found_by_its_words(town: Town) -> None:
    """A run was words in the reason then; its task is lost, and the task that was started by hand is not."""
    (lost,) = town.runs.lost_tasks()
    assert (lost.task.description, lost.mark.id, lost.mark.process) == ("Fix the parser", "ba9876543210", 4712)


def test_older_town_is_continued(town: Town) -> None:
    """New events follow the old ones, whose bytes stay; and all is as promised afterwards."""
    town.complete("release", with_children=True, agent="ada")
    town.create("After the move", parent="release", alias="after")
    town.runs.reclaim()
    town.upkeep.rebuild()
    assert stored_events(town)[:EVENTS] == KEYS[LEDGER]["value"]
    assert town.upkeep.verify().findings == ()
    assert town.task("release").state is State.COMPLETED
    assert town.at(EVENTS).task("release").state is State.PENDING


def test_snapshot_of_an_older_town_gets_its_number_with_a_rebuild(town: Town) -> None:
    """Without it such a task changes, goes and comes back, and its place in the order is never lost or wrong."""
    tasks = town.page().tasks
    parents = {task.parent_id for task in tasks}
    kept, gone = [task.id for task in tasks if task.id not in parents][:2]
    town.tag(kept, add=["seen"])
    town.remove(gone)
    assert town.upkeep.verify().findings == ()
    assert town.task(kept).created_number is None
    assert b"created_number" not in town.snapshot_json(kept)
    again = town.create("Back again").task
    assert again.created_number == EVENTS + len(stored_events(town)[EVENTS:])
    town.upkeep.rebuild()
    assert town.upkeep.verify().findings == ()
    numbers = [task.created_number or 0 for task in town.page().tasks]
    assert 0 not in numbers
    assert numbers == sorted(numbers)
    assert town.page().tasks[-1].id == again.id
