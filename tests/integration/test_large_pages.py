"""A town whose pages are larger than a reply may be is read all the same, in smaller pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from ledger import CircularNeedsError, EventStore, LinkKind, NewEvent, ReplyTooLargeError, TaskNoted
from town import Town
from town.migration.old_reader import OldReader
from town.server.bounded_client import client_of_url

REPLY_BYTES = 256 * 1024
TASKS = 40
TEXT = "x" * 30_000


@pytest.fixture
def url(server_socket: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server at a URL, of whose replies a few texts are too much. The bound is a hundredth of what it is."""
    url = f"unix://{server_socket}"
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setattr("town.server.bounded_client._BoundedParser.reply_bytes_max", REPLY_BYTES)
    monkeypatch.setattr("projections.rebuilding.overwrite.SNAPSHOTS_BYTES_MAX", REPLY_BYTES // 3)
    return url


@pytest.fixture
def town(url: str, tmp_path: Path) -> Iterator[Town]:
    assert os.environ["REDIS_URL"] == url
    with Town.init(tmp_path, name=f"large-{uuid4().hex[:8]}", actor="alice") as town:
        yield town


def test_pages_larger_than_a_reply_are_read_in_parts(town: Town, client: redis.Redis) -> None:
    """Events, one task's history, snapshots, a projector's, a verify's and a rebuild's: each read ends, and is whole."""
    tasks = [town.create(f"{number} {TEXT}").task.id for number in range(TASKS)]
    store = EventStore(client, town.keys)
    store.append(
        [
            NewEvent(task=task, version=2, actor="alice", command=f"c-{task}", data=TaskNoted(TEXT), reason=None)
            for task in tasks
        ],
        dict.fromkeys(tasks, 1),
    )
    town.upkeep.catch_up()
    for _ in range(10):
        town.note(tasks[0], TEXT)
    client.delete(town.keys.task(tasks[1]))
    assert town.upkeep.rebuild().differences == 1
    assert [task.id for task in town.page().tasks] == tasks
    assert len(town.history(tasks[0])) == 12
    assert [each.version_before for each in town.diff(TASKS).tasks] == [1] * TASKS
    assert town.end().seq == 2 * TASKS + 10
    assert [recorded.position.seq for recorded in town.events.last(count=30)] == list(range(61, 91))
    assert town.upkeep.verify().findings == ()


def test_event_larger_than_a_reply_is_an_error_that_says_so(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing smaller to ask for, and nothing is asked again without an end."""
    town.create(TEXT)
    monkeypatch.setattr("town.server.bounded_client._BoundedParser.reply_bytes_max", len(TEXT))
    with pytest.raises(ReplyTooLargeError, match="its reply has more than 30,000 bytes"):
        town.page()
    with pytest.raises(ReplyTooLargeError, match="its reply has more than 30,000 bytes"):
        list(town.events.last(count=1))


def test_old_records_larger_than_a_reply_are_read_in_parts(url: str, client: redis.Redis) -> None:
    """A record that is too large by itself is said to be, as any record is that is longer than it may be."""
    sizes = [120_000, 120_000, 120_000, 400_000, 10]
    for number, size in enumerate(sizes):
        client.set(f"record-{number}", "x" * size)
    reader = OldReader(client_of_url(url), where="redis")
    found = reader.read([f"record-{number}" for number in range(len(sizes))])
    assert [each if isinstance(each, str) else len(each.value) for each in found] == [
        120_000,
        120_000,
        120_000,
        "it has more than 16,777,216 bytes",
        10,
    ]


def test_task_that_many_large_ones_need_is_completed(town: Town) -> None:
    """What changes for the others is read in parts. The event was in the ledger, and no command could project it."""
    base = town.create("base", agent="ada").task.id
    tasks = [town.create(f"{number} {TEXT}", needs=[base]).task.id for number in range(TASKS)]
    assert town.ready().tasks == ()
    town.complete(base)
    assert [task.id for task in town.ready().tasks] == tasks
    town.reopen(base)
    assert [task.id for task in town.ready().tasks] == [base]
    assert [each.task.id for each in town.blocked()] == tasks
    assert not town.upkeep.verify().findings


def test_circle_among_large_tasks_is_found(town: Town) -> None:
    """The tasks below and needed are looked up in parts."""
    top = town.create("top").task.id
    tasks = [town.create(f"{number} {TEXT}", parent=top).task.id for number in range(TASKS)]
    town.create("last", alias="last", needs=[top])
    with pytest.raises(CircularNeedsError):
        town.link(tasks[0], ["last"])


def test_task_is_linked_to_many_large_ones(town: Town) -> None:
    """They are read one by one, where the look at the start of the command would be too much."""
    tasks = [town.create(f"{number} {TEXT}").task.id for number in range(TASKS)]
    assert town.create("last", needs=tasks).task.needs == tuple(sorted(tasks))
    assert town.link(tasks[0], tasks[1:], LinkKind.RELATES).task.relates == tuple(sorted(tasks[1:]))
