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


def test_older_town_is_read_as_it_is_and_complete_after_a_rebuild(town: Town) -> None:
    """It lacks the views that came since: answers come from the ledger, and reading writes nothing. A rebuild makes them."""
    outdated = town.upkeep.find_outdated()
    assert outdated is not None
    assert "link" in str(outdated)
    assert town.page().total == 7
    assert stored_events(town) == KEYS[LEDGER]["value"]
    snapshots = {key: stored["value"] for key, stored in KEYS.items() if ":task:" in key}
    stored: Any = town.connection.client.mget(list(snapshots))
    assert dict(zip(snapshots, map(bytes.decode, stored), strict=True)) == snapshots
    town.upkeep.rebuild()
    assert town.upkeep.find_outdated() is None
    assert town.upkeep.verify().findings == ()
    assert list(town.upkeep.preview_rebuild()) == []
    assert stored_events(town) == KEYS[LEDGER]["value"]
    for key, before in snapshots.items():
        now = json.loads(town.snapshot_json(key.rpartition(":")[2]))
        assert isinstance(now.pop("created_number"), int)
        assert now == json.loads(before)


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
    town.upkeep.rebuild()
    (lost,) = town.runs.lost_tasks()
    assert (lost.task.description, lost.mark.id, lost.mark.process) == ("Fix the parser", "ba9876543210", 4712)


def test_older_town_is_continued(town: Town) -> None:
    """New events follow the old ones, whose bytes stay; and all is as promised afterwards."""
    town.upkeep.rebuild()
    town.complete("release", with_children=True, agent="ada")
    town.create("After the move", parent="release", alias="after")
    town.runs.reclaim()
    town.upkeep.rebuild()
    assert stored_events(town)[:EVENTS] == KEYS[LEDGER]["value"]
    assert town.upkeep.verify().findings == ()
    assert town.task("release").state is State.COMPLETED
    assert town.at(EVENTS).task("release").state is State.PENDING


def test_tasks_of_an_older_town_keep_their_order(town: Town) -> None:
    """By the number of the event that created them; one that is removed and comes back is the newest."""
    town.upkeep.rebuild()
    gone = town.task("notes").id
    town.remove(gone)
    again = town.create("Back again", alias="notes").task
    assert (again.id, again.created_number) == (gone, len(stored_events(town)))
    assert town.upkeep.verify().findings == ()
    numbers = [task.created_number or 0 for task in town.page().tasks]
    assert 0 not in numbers
    assert numbers == sorted(numbers)
    assert town.page().tasks[-1].id == again.id
