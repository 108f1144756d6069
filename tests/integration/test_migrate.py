"""Tasks from before the ledger enter it: every old format, mixed or damaged, on a real server.

The fixtures in `old_towns/` are raw commands; `docs/reference/migrate.md` says what becomes of each.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import redis

from ledger import (
    TOWNS_KEY,
    Keys,
    OldRecord,
    Source,
    State,
    Task,
    TaskAdopted,
    TaskNotFoundError,
    format_ms,
    task_id_of_alias,
)
from projections import Lease, SetAside
from tests.support import old_towns
from tests.support.adopted import Standing, write_record
from tests.support.builders import task_id
from tests.support.losses import start_over
from tests.support.old_towns import MIXED, contents, dump, fill, fill_many, look, migrate, old_town
from tests.support.servers import running_server
from tests.support.towns import trust
from town import LegacyKeptError, MigrationSourceError, MomentError, Town, problem_of
from town.migration.migration import LEASE_NAME
from town.migration.old_reader import OldReader

TASKS = 100_000 if os.environ.get("TT_STRESS") else 2_000


@pytest.fixture
def opened(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Opens the fixtures' town, with what some fixtures put there."""
    towns: list[Any] = []

    def open_town(*names: str) -> Town:
        town = old_town(client, server_socket, tmp_path, *names)
        towns.append(town)
        return town.__enter__()

    yield open_town
    for town in towns:
        town.__exit__(None, None, None)


def fields(task: Task) -> dict[str, object]:
    """What a record says of a task, with its times as they are written."""
    return {
        "description": task.description,
        "state": task.state,
        "assigned_to": task.assigned_to,
        "created_at": format_ms(task.created_at_ms),
        "updated_at": format_ms(task.updated_at_ms),
        "started_at": None if task.started_at_ms is None else format_ms(task.started_at_ms),
        "completed_at": None if task.completed_at_ms is None else format_ms(task.completed_at_ms),
        "result": task.result,
        "parent_id": task.parent_id,
        "tags": task.tags,
    }


def whys(found: Any) -> dict[str, str]:
    return {each.key: each.why for each in found.skipped}


def irregularities(found: Any) -> dict[str, list[str]]:
    noted: dict[str, list[str]] = {}
    for each in found.irregular:
        noted.setdefault(each.task_id, []).append(each.what)
    return noted


# --- every format ------------------------------------------------------------------------------------------------


def test_json_without_a_town_is_adopted_into_the_town_at_hand(opened: Callable[..., Town], client: redis.Redis) -> None:
    """`tt:task:` and `mt:task:` name no town; agents become names, and one that is unknown keeps its UUID."""
    town = opened("json-without-a-town")
    assert look(town).bare_records == 3
    report = migrate(town)
    assert (report.adopted, report.set_aside, report.skipped, report.irregular) == (3, 3, (), ())
    assert fields(town.task(task_id(1))) == {
        "description": "Design the login page",
        "state": State.COMPLETED,
        "assigned_to": "ada",
        "created_at": "2025-03-01T09:00:00.123Z",
        "updated_at": "2025-03-02T10:30:00.000Z",
        "started_at": None,
        "completed_at": "2025-03-02T10:30:00.000Z",
        "result": "Merged",
        "parent_id": None,
        "tags": ("design", "frontend"),
    }
    assert town.task(task_id(2)).assigned_to == "a0000000-0000-4000-8000-000000000002"
    assert town.task(task_id(2)).parent_id == task_id(1)
    assert [task.id for task in town.page().tasks] == [task_id(3), task_id(1), task_id(2)]
    assert client.exists(f"tt:demo:legacy:mt:task:{task_id(3)}", f"tt:demo:legacy:tt:task:{task_id(1)}") == 2
    assert not client.exists(f"mt:task:{task_id(3)}", f"tt:task:{task_id(1)}")


def test_json_of_the_town_is_adopted_in_its_place(opened: Callable[..., Town], client: redis.Redis) -> None:
    """The record lies where the snapshot will be: it is kept beside, byte for byte, and the snapshot takes its place."""
    town = opened("json-of-a-town")
    key = f"tt:demo:task:{task_id(11)}"
    before = client.get(key)
    assert migrate(town).adopted == 2
    assert client.get(f"tt:demo:legacy:{key}") == before
    snapshot = msgspec.json.decode(cast("bytes", client.get(key)))
    assert (snapshot["assigned_to"], snapshot["version"]) == ("backend-1", 1)
    assert (snapshot["created_at"], snapshot["started_at"]) == ("2025-05-01T12:00:00.000Z", "2025-05-01T12:30:00.000Z")
    assert town.task(task_id(12)).state is State.FAILED
    assert town.task(task_id(12)).result == "The disk was full"


def test_hash_is_adopted_with_what_it_lacks(opened: Callable[..., Town], client: redis.Redis) -> None:
    """`in_flight` is running, nanoseconds and both forms of UTC are read, and missing tags are no tags."""
    town = opened("hash")
    assert migrate(town).irregular == ()
    running, completed, cancelled = (town.task(task_id(number)) for number in (21, 22, 23))
    assert (running.state, running.assigned_to) == (State.RUNNING, "Ada Lovelace")
    assert fields(running)["created_at"] == "2025-09-01T07:00:00.123Z"
    assert fields(running)["started_at"] == "2025-09-01T07:30:00.000Z"
    assert running.tags == ("payments", "urgent")
    assert (completed.assigned_to, completed.parent_id) == ("a0000000-0000-4000-8000-000000000022", task_id(21))
    assert (cancelled.state, cancelled.tags, cancelled.started_at) == (State.CANCELLED, (), None)
    assert client.type(f"tt:demo:legacy:tt:demo:task:{task_id(21)}") == b"hash"


def test_records_are_the_same_over_either_protocol(client: redis.Redis, server_socket: Path) -> None:
    """A URL may ask for RESP3, in which a hash comes as a dict: the same records, in the same order of their fields."""
    fill(client, *MIXED)
    keys = sorted(name.decode() for name in cast("list[bytes]", client.keys("*task*")))
    with redis.Redis(unix_socket_path=str(server_socket), protocol=3) as modern:
        records = OldReader(modern, where="modern").read(keys)
    assert records == OldReader(client, where="plain").read(keys)
    assert {record.type for record in records if isinstance(record, OldRecord)} == {"string", "hash"}


def test_adopted_event_has_the_whole_record_and_the_time_of_now(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """The event holds every byte as found; its own time is that of the append, and not of 2025."""
    fill(client, "hash")
    before = cast("dict[bytes, bytes]", client.hgetall(f"tt:demo:task:{task_id(21)}"))
    town = opened()
    migrate(town)
    [step] = town.history(task_id(21))
    assert isinstance(step.event.data, TaskAdopted)
    [record] = step.event.data.records
    assert record.key == f"tt:demo:task:{task_id(21)}"
    assert record.value == {name.decode(): value.decode() for name, value in before.items()}
    assert step.event.actor == "ada"
    assert step.event.position.time.year > 2025


def test_backlog_keeps_its_order(opened: Callable[..., Town], client: redis.Redis) -> None:
    """The lists' order holds among their tasks, the older list first; tasks of no list stand among them by age."""
    town = opened("backlog")
    assert look(town).backlog == 5
    migrate(town)
    of_lists = [task_id(number) for number in (34, 32, 31, 33)]
    assert [task.id for task in town.backlog().tasks if task.id != task_id(35)] == of_lists
    # The third of the older three is younger than the one of no list; the others wait for an older one behind them.
    assert [task.id for task in town.backlog().tasks].index(task_id(35)) == 3
    assert town.backlog().total == 5
    assert not client.exists("tt:demo:backlog", "tt:backlog")
    assert client.lrange("tt:demo:legacy:tt:demo:backlog", 0, 0) == [task_id(32).encode()]


def test_plan_tag_becomes_the_alias_of_the_newest(opened: Callable[..., Town]) -> None:
    """Of several tasks of one plan's entry the last updated has the alias; the others keep the tag, and are told."""
    town = opened("plan")
    report = migrate(town)
    assert town.task("login").id == task_id(42)
    assert town.task("login").tags == ("backend",)
    assert town.task(task_id(41)).tags == ("backend", "plan:login")
    assert (town.task("log out").id, town.task("log out").tags) == (task_id(43), ("plan:second",))
    assert list(irregularities(report)) == [task_id(41)]


def test_push_after_a_migration_meets_the_adopted_task(opened: Callable[..., Town]) -> None:
    """`tt sync push` of the plan that the tasks came from makes no second task."""
    town = opened("plan")
    migrate(town)
    town.plans.path().write_text(
        '[[tasks]]\nid = "login"\ndescription = "Login"\ntags = ["backend"]\n'
        '[[tasks]]\nid = "log out"\ndescription = "Log out, too"\nparent = "login"\n',
        encoding="utf-8",
    )
    receipt = town.plans.push()
    assert [(change.task_id, [event.type for event in change.events]) for change in receipt.changes] == [
        (task_id(43), ["task.tagged", "task.described"])
    ]
    assert town.page().total == 3


def test_alias_of_a_removed_adopted_task_leads_nowhere(opened: Callable[..., Town]) -> None:
    """What the guarantees say is not promised: the history is there by id, and the alias is free for another task."""
    town = opened("plan")
    migrate(town)
    town.move(task_id(43), None)
    town.remove("login")
    with pytest.raises(TaskNotFoundError):
        town.history("login")
    assert [step.event.type for step in town.history(task_id(42))] == ["task.adopted", "task.removed"]
    assert town.create("Login, again", alias="login").task.id == task_id_of_alias("demo", "login")
    assert town.upkeep.verify().findings == ()


@pytest.mark.parametrize("prune", [False, True])
def test_import_after_a_migration_meets_the_adopted_tasks(opened: Callable[..., Town], *, prune: bool) -> None:
    """An issue with the id of a plan's tag is the adopted task, as a parent too; once it was made a second time."""
    town = opened("plan")
    migrate(town)
    export = town.folder / "issues.jsonl"
    issues = [
        {"id": "login", "title": "Login", "status": "open", "labels": ["backend"]},
        {"id": "child", "title": "A child", "dependencies": [{"depends_on_id": "login", "type": "parent-child"}]},
        {"id": "log out", "title": "Log out", "status": "tombstone"},
    ]
    export.write_text("".join(f"{msgspec.json.encode(issue).decode()}\n" for issue in issues), encoding="utf-8")
    receipt = town.imports.beads(export, prune=prune)
    assert (receipt.created, receipt.removed) == (1, 1)
    assert town.task("child").parent_id == town.task("login").id == task_id(42)
    assert {task.id for task in town.page().tasks} == {task_id(41), task_id(42), town.task("child").id}
    assert town.imports.beads(export, prune=prune).positions == ()


def test_newest_of_two_formats_wins_and_both_are_kept(opened: Callable[..., Town], client: redis.Redis) -> None:
    """`updated_at` decides, whichever format; the event has both records, the one that counts first."""
    town = opened("two-formats")
    assert migrate(town).adopted == 2
    assert town.task(task_id(51)).description == "Newer, a Hash"
    assert town.task(task_id(52)).description == "Newer, the oldest format"
    kept = [
        [record.key for record in cast("TaskAdopted", town.history(task_id(number))[0].event.data).records]
        for number in (51, 52)
    ]
    assert kept == [
        [f"tt:demo:task:{task_id(51)}", f"tt:task:{task_id(51)}"],
        [f"mt:task:{task_id(52)}", f"tt:demo:task:{task_id(52)}"],
    ]
    assert all(client.exists(f"tt:demo:legacy:{key}") for keys in kept for key in keys)


def test_what_cannot_be_read_is_told_and_aborts_nothing(opened: Callable[..., Town], client: redis.Redis) -> None:
    """Broken JSON, a missing field, a key of another type: each key with its reason, and the sound tasks are adopted."""
    town = opened("broken")
    report = migrate(town)
    assert report.adopted == 2
    assert {key.removeprefix("tt:"): why.partition(":")[0] for key, why in whys(report).items()} == {
        f"task:{task_id(61)}": "it is not JSON",
        f"demo:task:{task_id(62)}": "it is not JSON",
        f"demo:task:{task_id(63)}": "it has no description",
        f"demo:task:{task_id(64)}": "it is a list, and should be a string or a hash",
        f"task:{task_id(65)}": "its JSON is not an object",
        f"task:{task_id(66)}": f"it says that it is task '{task_id(61)}'",
        f"task:{task_id(67)}": "its state 'sleeping' is not one of pending, assigned, running, completed, failed, "
        "cancelled, in_flight",
        f"task:{task_id(68)}": "it has no created_at",
        f"task:{task_id(70)}": "it is not JSON",
        "demo:task:by-hand": "its name does not end in a task's id",
    }
    # Elsewhere they stay; in the place of our snapshots, where a rebuild would drop them, they are set aside.
    assert client.get(f"tt:task:{task_id(65)}") == b'["an array"]'
    assert client.get(f"tt:demo:legacy:tt:demo:task:{task_id(62)}") == b"not JSON"
    assert client.lrange(f"tt:demo:legacy:tt:demo:task:{task_id(64)}", 0, -1) == [b"a list"]
    town.upkeep.rebuild()
    assert client.get("tt:demo:legacy:tt:demo:task:by-hand") is not None
    assert len(look(town).unadopted) == 4


def test_missing_parent_is_kept_and_told(opened: Callable[..., Town]) -> None:
    """The task is adopted with its parent as it was, and the report says that it is not there."""
    town = opened("broken")
    parent = "99999999-9999-4999-8999-999999999999"
    assert irregularities(migrate(town)) == {task_id(69): [f"its parent {parent} is not there"]}
    assert town.task(task_id(69)).parent_id == parent
    assert {branch.task.id for branch in town.tree()} == {task_id(69), task_id(70)}


def test_illegal_state_is_adopted_as_it_was_and_told(opened: Callable[..., Town]) -> None:
    """Completed without a time, running without an agent, values that do not fit: as they are, or as far as they fit."""
    town = opened("irregular")
    assert irregularities(migrate(town)) == {
        task_id(71): ["it is completed, without an end time"],
        task_id(72): ["it is running, without an agent"],
        task_id(73): [
            "its created_at is not a time, and is left out",
            "it has no created_at; updated_at stands for it",
            "its tags are not a list, and are left out",
            "its description is empty",
        ],
        task_id(74): ["invalid tags are left out: 2"],
        task_id(75): [
            "its description held NUL characters, which are replaced",
            "it lies below itself, in a circle; it goes to the top",
        ],
    }
    assert (town.task(task_id(71)).completed_at, town.task(task_id(72)).assigned_to) == (None, None)
    assert town.task(task_id(72)).state is State.RUNNING
    assert town.task(task_id(73)).description == "(no description)"
    assert town.task(task_id(74)).tags == ("fits",)
    assert town.task(task_id(75)).description == "A\ufffdNUL"
    assert [town.task(task_id(number)).parent_id for number in (75, 76)] == [None, task_id(75)]


def test_adopted_tasks_go_on_with_commands(opened: Callable[..., Town]) -> None:
    """A running task without an agent is completed by whoever says so, and a completed one without a time reopened."""
    town = opened("irregular")
    migrate(town)
    assert town.complete(task_id(72), agent="ben").task.state is State.COMPLETED
    assert town.reopen(task_id(71)).task.state is State.PENDING
    assert town.upkeep.verify().findings == ()


def test_text_over_the_limit_is_cut_and_the_event_has_it_whole(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """A description of 100,000 characters is cut in the task, at a whole character, and whole in the event."""
    long = "é" * 100_000
    record = msgspec.json.encode(old_towns.old_fields(1) | {"description": long}).decode()
    client.set(f"tt:task:{task_id(1)}", record)
    town = opened()
    report = migrate(town)
    assert town.task(task_id(1)).description == "é" * 32_768
    assert cast("TaskAdopted", town.history(task_id(1))[0].event.data).records[0].value == record
    assert "its description has 200,000 bytes, and is cut to 65,536" in irregularities(report)[task_id(1)]


def test_bytes_that_are_no_utf8_are_told_and_kept(opened: Callable[..., Town], client: redis.Redis) -> None:
    """A record that is no text cannot be an event's; it stays, and so does a key whose very name is none."""
    client.set(f"tt:task:{task_id(1)}", b'{"id":"\xff"}')
    client.hset(f"tt:demo:task:{task_id(2)}", mapping={"id": task_id(2), "description": b"\xff"})
    client.set(b"tt:task:\xff", "odd")
    report = migrate(opened())
    assert set(whys(report).values()) == {"it holds bytes that are not UTF-8"}
    assert client.get(f"tt:task:{task_id(1)}") == b'{"id":"\xff"}'
    assert client.get(b"tt:task:\xff") == b"odd"


def test_keys_that_nearly_are_tasks_or_agents_are_told_and_left(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """An id with capitals, agents of another type or without a name: once the report passed over them."""
    capitals = f"tt:task:{task_id(1).replace('4000', 'ABCD')}"
    agents = [f"tt:demo:agent:{task_id(number)}" for number in (1, 2, 3)]
    client.set(capitals, "{}")
    client.rpush(agents[0], "ada")
    client.set(agents[1], "no JSON")
    client.set(agents[2], b"\xff")
    before = dump(client)
    assert whys(look(opened())) == {
        capitals: "the id in its name has capitals, and a task's has none",
        agents[0]: "it is a list, and should be a string or a hash",
        agents[1]: "it names no agent",
        agents[2]: "it holds bytes that are not UTF-8",
    }
    # The server's list of towns got its name when the town was made.
    client.delete(TOWNS_KEY)
    assert dump(client) == before


def test_backlog_of_another_type_is_told_and_left(opened: Callable[..., Town], client: redis.Redis) -> None:
    """A key that should be a list and is none gives no order, and stays as it is."""
    town = opened("wrong-backlog")
    assert whys(migrate(town)) == {"tt:demo:backlog": "it is a string, and should be a list"}
    assert client.get("tt:demo:backlog") == b"no list"


def test_other_keys_and_other_towns_are_left_exactly_as_they_are(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Agents, inboxes, missions, events, keys with ambiguous names, and another town: not a byte of them changes."""
    fill(client, "other-keys")
    before = dump(client)
    town = opened("hash")
    migrate(town)
    after = dump(client)
    assert {name: after.get(name) for name in before} == before
    assert town.page().total == 3


def test_all_formats_mixed_in_one_server_end_as_each_alone(opened: Callable[..., Town]) -> None:
    """Whatever else is there, each task is the same; none is lost and none is made twice."""
    town = opened(*MIXED)
    report = migrate(town)
    assert report.adopted == town.page().total == town.end().seq == 26
    assert town.task("login").id == task_id(42)
    assert town.task(task_id(51)).description == "Newer, a Hash"
    assert town.upkeep.rebuild().differences == 0


def test_many_old_tasks_are_all_adopted(opened: Callable[..., Town], client: redis.Redis) -> None:
    """Many tasks of two formats, a tenth of them below another: all of them, oldest first; 100,000 with TT_STRESS=1."""
    fill_many(client, TASKS)
    town = opened()
    report = migrate(town)
    assert (report.adopted, report.skipped, report.irregular) == (TASKS, (), ())
    assert report.set_aside == len(range(0, TASKS, 3))
    assert [task.id for task in town.page(limit=3).tasks] == [task_id(number) for number in range(3)]
    assert town.count_states()[State.COMPLETED] == TASKS
    assert look(town).has_work is False


# --- again, and beside others ------------------------------------------------------------------------------------


def test_second_migration_has_nothing_to_do_and_appends_nothing(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """After a migration there is no work, and one that is run all the same leaves every byte as it is."""
    town = opened(*MIXED)
    migrate(town)
    before = dump(client)
    assert not look(town).has_work
    assert migrate(town).adopted == 0
    assert dump(client) == before


def test_look_writes_nothing(opened: Callable[..., Town], client: redis.Redis) -> None:
    """To look, which is all that --dry-run does, leaves the whole server as it was."""
    town = opened(*MIXED)
    before = dump(client)
    preview = look(town)
    assert (preview.tasks, preview.has_work) == (26, True)
    assert dump(client) == before


def test_look_foretells_what_a_migration_tells(opened: Callable[..., Town]) -> None:
    """What is skipped and what is irregular is the same before and after."""
    town = opened(*MIXED)
    preview = look(town)
    report = migrate(town)
    assert (preview.tasks, preview.skipped, preview.irregular) == (report.adopted, report.skipped, report.irregular)


def test_moment_before_the_migration_is_refused(opened: Callable[..., Town]) -> None:
    """The ledger begins with the migration: no task of 2025 is on a board of 2025."""
    town = opened("hash")
    migrate(town)
    with pytest.raises(MomentError, match="is before the first event"):
        town.at("2025-12-01")


def test_task_that_the_ledger_made_is_not_adopted_again(opened: Callable[..., Town], client: redis.Redis) -> None:
    """An old record of a task that the ledger has from elsewhere is told and left."""
    town = opened()
    made = town.create("Made here").task
    key = f"tt:task:{made.id}"
    client.set(key, msgspec.json.encode(old_towns.old_fields(1) | {"id": made.id}))
    report = migrate(town)
    assert whys(report) == {key: f"the ledger has task {made.id} already, and not from an old record"}
    assert not look(town).has_work
    assert client.exists(key)
    assert town.task(made.id).description == "Made here"


def test_records_of_an_interrupted_migration_are_set_aside_by_the_next_one(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Adopted and not yet renamed: it is known by what the event holds, and no event is appended."""
    town = opened("json-without-a-town")
    migrate(town)
    key = f"tt:task:{task_id(1)}"
    client.rename(town.keys.legacy(key), key)
    preview = look(town)
    assert (preview.tasks, preview.finished, preview.skipped) == (0, 1, ())
    report = migrate(town)
    assert (report.adopted, report.set_aside, report.skipped) == (0, 1, ())
    assert town.end().seq == 3


def test_key_that_another_migration_set_aside_first_does_not_count(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Between the look and the rename it went where it belongs; that is no error, and not this migration's work."""
    town = opened("json-without-a-town")
    migrate(town)
    key = f"tt:task:{task_id(1)}"
    client.rename(town.keys.legacy(key), key)
    with town.migration() as migration:
        migration.look()
        client.rename(key, town.keys.legacy(key))
        report = migration.run()
    assert (report.set_aside, report.skipped) == (0, ())


def test_record_that_reads_otherwise_than_the_adopted_one_is_left(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Tinytown went on and wrote the record again: what it wrote is told, and neither adopted nor lost."""
    town = opened("json-without-a-town")
    migrate(town)
    fill(client, "json-without-a-town")
    client.set(f"tt:task:{task_id(2)}", msgspec.json.encode(old_towns.old_fields(2)))
    report = migrate(town)
    assert whys(report) == {
        f"tt:task:{task_id(2)}": f"the ledger has task {task_id(2)} already, from a record that reads otherwise",
    }
    assert report.set_aside == 2
    for key in (f"tt:task:{task_id(1)}", f"mt:task:{task_id(3)}"):
        assert client.get(f"tt:demo:legacy:{key}") == client.get(f"tt:demo:legacy:{key}:2") is not None
    assert town.page().total == 3


def test_alias_that_a_task_has_is_not_given_again(opened: Callable[..., Town]) -> None:
    """A task that was pushed here before the migration keeps its alias; the old one keeps its tag, and is told."""
    town = opened("plan")
    here = town.create("Login, made here", alias="login").task
    report = migrate(town)
    assert town.task("login").id == here.id == task_id_of_alias("demo", "login")
    assert town.task(task_id(42)).tags == ("backend", "plan:login")
    assert set(irregularities(report)) == {task_id(41), task_id(42)}


def test_alias_taken_during_the_migration_is_not_given_again(opened: Callable[..., Town]) -> None:
    """A push between the look and the append takes the alias: the guard of its id fails, and the batch is made anew."""
    town = opened("plan")
    with town.migration() as migration:
        migration.look()
        town.create("Login, made meanwhile", alias="login")
        report = migration.run()
    assert report.adopted == 3
    assert town.task(task_id(42)).alias is None
    assert town.upkeep.verify().findings == ()


def test_alias_taken_between_the_check_and_the_append_is_not_given_again(
    opened: Callable[..., Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest gap: a push makes the task right before the batch is appended, and the guard of its id stops that."""
    town = opened("plan")
    append = town.backend.store.begin_append
    pushed: list[str] = []

    def push_first(*arguments: Any, **more: Any) -> Any:
        if not pushed:
            pushed.append("login")
            with Town.open(town.folder, actor="ben") as other:
                other.create("Login, made meanwhile", alias="login")
        return append(*arguments, **more)

    monkeypatch.setattr(town.backend.store, "begin_append", push_first)
    report = migrate(town)
    assert report.adopted == 3
    assert town.task(task_id(42)).alias is None
    assert town.task("login").id == task_id_of_alias("demo", "login")
    assert any("has the alias 'login' already" in what for what in irregularities(report)[task_id(42)])


def test_two_migrations_at_once_adopt_each_task_once(opened: Callable[..., Town], client: redis.Redis) -> None:
    """Both looked before either began: the second waits, finds nothing left, and both end well."""
    fill_many(client, 600)
    town = opened()
    waits: list[str] = []
    with Town.open(town.folder, actor="ben") as other, town.migration() as first, other.migration() as second:
        first.look()
        second.look()
        reports = at_once(first.run, lambda: second.run(on_wait=lambda: waits.append("waits")))
    assert sorted(report.adopted for report in reports) == [0, 600]
    assert (town.end().seq, town.upkeep.verify().findings) == (600, ())


def test_migrations_without_a_lease_adopt_each_task_once(
    opened: Callable[..., Town], client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease saves work and nothing else: where both go on beside each other, guards keep every task single."""
    monkeypatch.setattr(Lease, "take", lambda _: True)
    monkeypatch.setattr("town.migration.survey.ADOPTED_EVENTS_MAX", 10)
    fill_many(client, 600)
    town = opened()
    with Town.open(town.folder, actor="ada") as other, town.migration() as first, other.migration() as second:
        first.look()
        second.look()
        at_once(first.run, second.run)
    assert (town.end().seq, town.page().total, town.upkeep.verify().findings) == (600, 600, ())
    assert not look(town).has_work


def test_migration_waits_for_another_one(opened: Callable[..., Town], client: redis.Redis) -> None:
    """While somebody holds the lease a migration says once that it waits; then it looks again and goes on."""
    town = opened("hash")
    waits: list[str] = []

    def go_on() -> None:
        waits.append("waits")
        client.delete(town.keys.lease(LEASE_NAME))

    client.set(town.keys.lease(LEASE_NAME), "somebody", px=60_000)
    with town.migration() as migration:
        migration.look()
        report = migration.run(on_wait=go_on)
    assert (waits, report.adopted) == (["waits"], 3)


def test_readers_and_writers_beside_a_migration_see_what_was_promised(
    opened: Callable[..., Town], client: redis.Redis, server_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: each command reads its own writes. P8: at each moment a key says what the task is, as record or as snapshot, and
    whoever reads the town sees each adopted task from then on, as its record was.
    """
    monkeypatch.setattr("town.migration.survey.ADOPTED_EVENTS_MAX", 20)
    fill_many(client, 900)
    town = opened()
    places = [f"tt:demo:task:{task_id(number)}" for number in range(900) if number % 3]
    is_done = threading.Event()

    said = {task_id(number): f"Implement feature {number} of the plan" for number in range(900)}

    def read() -> int:
        rounds = 0
        with closing(redis.Redis(unix_socket_path=str(server_socket))) as reader:
            while not is_done.is_set() or not rounds:
                assert reader.exists(*places) == len(places)
                assert descriptions_at(reader, places) == [said[place.rpartition(":")[2]] for place in places]
                rounds += 1
        return rounds

    def read_town() -> int:
        seen: set[str] = set()
        with Town.open(town.folder, actor="eve") as reading:
            is_last = False
            while not is_last:
                is_last = is_done.is_set()
                adopted = {task.id: task for task in reading.page().tasks if task.id in said}
                assert seen <= adopted.keys()
                seen |= adopted.keys()
                assert {id_: task.description for id_, task in adopted.items()} == {id_: said[id_] for id_ in seen}
                assert {(task.state, task.version) for task in adopted.values()} <= {(State.COMPLETED, 1)}
                if adopted:
                    assert reading.task(max(adopted)).created_at.year == 2025
        return len(seen)

    def write() -> int:
        made = 0
        with Town.open(town.folder, actor="ben") as writing:
            while not is_done.is_set() or not made:
                task = writing.create(f"Task {made}", agent="ben").task
                assert writing.task(task.id).version == 2
                assert cast("bytes", writing.connection.client.get(writing.keys.task(task.id))).count(b"assigned") > 0
                assert task.id in {each.id for each in writing.page().tasks}
                made += 1
        return made

    def adopt() -> int:
        try:
            with town.migration() as migration:
                migration.look()
                return migration.run().adopted
        finally:
            is_done.set()

    rounds, seen, made, adopted = at_once(read, read_town, write, adopt)
    assert adopted == seen == 900
    assert town.page().total == 900 + made
    assert rounds > 1
    assert town.upkeep.verify().findings == ()


def descriptions_at(reader: redis.Redis, places: list[str]) -> list[str]:
    """What each of the town's keys says that its task is, all read at one moment: a Hash of Tinytown's, or a snapshot."""
    pipeline = reader.pipeline(transaction=True)
    for place in places:
        pipeline.get(place)
        pipeline.hget(place, "description")
    answers = pipeline.execute(raise_on_error=False)
    return [
        msgspec.json.decode(snapshot)["description"] if isinstance(snapshot, bytes) else field.decode()
        for snapshot, field in zip(answers[::2], answers[1::2], strict=True)
    ]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each returns, run at one moment; raises what one of them raised."""
    line = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(number: int) -> None:
        line.wait()
        try:
            results[number] = works[number]()
        except BaseException as error:  # noqa: BLE001 - raised again below
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


# --- keys that are in the way ------------------------------------------------------------------------------------

UNREADABLE = (task_id(1), task_id(2), task_id(4), "by-hand")


def put_unreadable(client: redis.Redis) -> dict[str, bytes]:
    """Four keys in the place of snapshots that nobody can read; where they are kept, and their bytes."""
    client.set(f"tt:demo:task:{task_id(1)}", '{"id":')
    client.rpush(f"tt:demo:task:{task_id(2)}", "a")
    client.hset(f"tt:demo:task:{task_id(4)}", mapping={"id": task_id(4), "state": "pending"})
    client.set("tt:demo:task:by-hand", "a note")
    return {f"tt:demo:legacy:tt:demo:task:{name}": bytes_at(client, f"tt:demo:task:{name}") for name in UNREADABLE}


def kept(client: redis.Redis) -> dict[str, bytes]:
    """Every key that is set aside, and its bytes."""
    names = cast("list[bytes]", client.keys("tt:demo:legacy:*"))
    return {name.decode(): bytes_at(client, name.decode()) for name in names}


def bytes_at(client: redis.Redis, key: str) -> bytes:
    content = client.dump(key)
    assert isinstance(content, bytes), key
    return content


def test_rebuild_of_a_town_that_is_not_migrated_keeps_what_it_cannot_read(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Broken JSON, a list, a Hash that lacks a field, a key without an id: set aside; once they were dropped for good."""
    expected = put_unreadable(client)
    fill(client, "hash")
    town = opened()
    assert town.upkeep.rebuild().set_aside == 4
    assert kept(client) == expected
    assert migrate(town).adopted == 3
    assert look(town).unadopted == tuple(sorted(expected))


@pytest.mark.parametrize("is_set_back", [False, True], ids=["missing", "schema 0"])
def test_migration_of_outdated_projections_keeps_what_it_cannot_read(
    opened: Callable[..., Town], client: redis.Redis, *, is_set_back: bool
) -> None:
    """It builds the views first; once that dropped the keys which it had announced to set aside."""
    town = opened("json-of-a-town")
    migrate(town)
    before = kept(client)
    if is_set_back:
        client.hset(town.keys.checkpoint("task"), "schema_version", "0")
    else:
        client.delete(town.keys.checkpoint("alias"))
    expected = put_unreadable(client)
    fill(client, "hash")
    assert look(town).set_aside == 4
    report = migrate(town)
    assert (report.adopted, report.set_aside, report.is_rebuilt) == (3, 4, True)
    assert expected.items() <= kept(client).items()
    assert before.items() <= kept(client).items()
    assert not look(town).has_work


WEEK = {"state": "completed", "result": "A week of work"}
"""What an older program writes after somebody went back."""


def write_hash(client: redis.Redis, key: str) -> None:
    client.delete(key)
    client.hset(key, mapping=old_towns.old_fields(21) | WEEK)


def write_json(client: redis.Redis, key: str) -> None:
    client.set(key, msgspec.json.encode(old_towns.old_fields(21) | WEEK))


def write_broken(client: redis.Redis, key: str) -> None:
    client.set(key, "no JSON")


@pytest.mark.parametrize("write", [write_hash, write_json, write_broken])
@pytest.mark.parametrize("is_removed", [False, True], ids=["there", "removed"])
def test_what_is_written_over_a_snapshot_is_set_aside_and_told(
    opened: Callable[..., Town], client: redis.Redis, write: Callable[[redis.Redis, str], None], *, is_removed: bool
) -> None:
    """An older program goes on where a snapshot lies; once a migration said `Nothing to migrate`, and a rebuild dropped it."""
    town = opened("hash")
    migrate(town)
    key = town.keys.task(task_id(23))
    if is_removed:
        town.remove(task_id(23))
    snapshot = client.get(key)
    write(client, key)
    written = bytes_at(client, key)
    preview = look(town)
    assert (preview.overwritten, preview.tasks) == (1, 0)
    assert whys(preview)[key].endswith("; the ledger has the task already")
    report = migrate(town)
    assert (report.adopted, report.set_aside, report.is_rebuilt) == (0, 1, True)
    assert client.get(key) == snapshot
    assert bytes_at(client, f"tt:demo:legacy:{key}:2") == written
    assert client.type(f"tt:demo:legacy:{key}") == b"hash"
    preview = look(town)
    assert (preview.has_work, preview.unadopted) == (False, (f"tt:demo:legacy:{key}:2",))


def test_what_was_written_after_going_back_is_named_before_it_is_dropped(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Nothing else is set aside then, and still it does not pass for the record that was adopted."""
    town = opened("hash")
    migrate(town)
    client.delete(*kept(client))
    write_hash(client, town.keys.task(task_id(21)))
    assert migrate(town).set_aside == 1
    assert town.legacy.look().unadopted == (f"tt:demo:legacy:tt:demo:task:{task_id(21)}:2",)


@pytest.mark.parametrize("write", [write_hash, write_json])
def test_verify_calls_a_record_over_a_snapshot_an_old_task_and_a_rebuild_keeps_it(
    opened: Callable[..., Town], client: redis.Redis, write: Callable[[redis.Redis, str], None]
) -> None:
    """The finding names `tt migrate`; whoever rebuilds all the same loses nothing."""
    town = opened("hash")
    migrate(town)
    key = town.keys.task(task_id(21))
    write(client, key)
    written = bytes_at(client, key)
    [finding] = town.upkeep.verify().findings
    assert (finding.kind, finding.where) == ("old task", key)
    assert "`tt migrate` sets it aside" in problem_of(finding)
    assert [difference.key for difference in town.upkeep.preview_rebuild()] == [key]
    assert town.upkeep.rebuild().set_aside == 1
    assert town.upkeep.verify().findings == ()
    assert bytes_at(client, f"tt:demo:legacy:{key}:2") == written


def test_records_that_return_are_set_aside_again_beside_the_first_ones(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """The same keys once more, their names taken: once every migration found the same work, and did nothing."""
    put_unreadable(client)
    town = opened("json-without-a-town", "backlog")
    names = [f"tt:task:{task_id(1)}", f"tt:demo:task:{task_id(4)}", "tt:demo:backlog"]
    found = {name: bytes_at(client, name) for name in names}
    migrate(town)
    for name, content in found.items():
        client.restore(name, 0, content)
    before = kept(client)
    assert look(town).has_work
    report = migrate(town)
    assert (report.adopted, report.set_aside) == (0, 3)
    assert kept(client) == before | {f"tt:demo:legacy:{name}:2": content for name, content in found.items()}
    assert not look(town).has_work
    assert town.legacy.drop().keys == len(before) + 3


def test_copy_of_an_interrupted_migration_is_made_anew_where_the_record_changed(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Killed after the copy, before the append; then Tinytown wrote: once the copy stayed that of before."""
    town = opened("hash", "json-of-a-town")
    keys = {number: f"tt:demo:task:{task_id(number)}" for number in (11, 12, 21, 22, 23)}
    for key in keys.values():
        client.copy(key, f"tt:demo:legacy:{key}")
    before = kept(client)
    client.hset(keys[21], mapping={"result": "A word more", "description": "x" * 100})
    client.set(keys[11], cast("bytes", client.get(keys[11])).replace(b"Build", b"Design"))
    changed = {number: bytes_at(client, keys[number]) for number in (11, 21)}
    migrate(town)
    assert kept(client) == (
        before
        | {f"tt:demo:legacy:{keys[number]}": content for number, content in changed.items()}
        | {f"tt:demo:legacy:{keys[number]}:2": before[f"tt:demo:legacy:{keys[number]}"] for number in (11, 21)}
    )


def test_copy_is_never_made_of_the_snapshot_of_a_task_that_is_adopted_meanwhile(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """Another migration was first: what lies there is its snapshot, and the copy it made stays."""
    town = opened("hash")
    migrate(town)
    before = kept(client)
    SetAside(client, town.keys).copy([task_id(21), task_id(22)])
    assert kept(client) == before


def test_record_with_a_position_that_is_none_is_a_record(opened: Callable[..., Town], client: redis.Redis) -> None:
    """Somebody's own field: the record is copied and adopted; once it was written over without a copy."""
    key = f"tt:demo:task:{task_id(1)}"
    ours = old_towns.old_fields(1) | {"position": 3, "updated_at": "2024-01-01T00:00:00Z"}
    client.set(key, msgspec.json.encode(ours))
    client.set(f"tt:task:{task_id(1)}", msgspec.json.encode(old_towns.old_fields(1)))
    written = client.get(key)
    town = opened()
    assert migrate(town).adopted == 1
    assert client.get(f"tt:demo:legacy:{key}") == written
    assert len(cast("TaskAdopted", town.history(task_id(1))[0].event.data).records) == 2


def test_damaged_snapshot_that_nobody_has_is_kept_where_a_record_elsewhere_is_adopted(
    opened: Callable[..., Town], client: redis.Redis
) -> None:
    """It has a position, and is no whole snapshot: who knows whose it is."""
    key = f"tt:demo:task:{task_id(1)}"
    client.set(key, '{"id":"x","position":"1-1"}')
    client.set(f"tt:task:{task_id(1)}", msgspec.json.encode(old_towns.old_fields(1)))
    assert migrate(opened()).adopted == 1
    assert client.get(f"tt:demo:legacy:{key}") == b'{"id":"x","position":"1-1"}'


# --- another server ----------------------------------------------------------------------------------------------


def test_other_server_is_read_and_left_exactly_as_it_is(
    opened: Callable[..., Town], client: redis.Redis, tmp_path: Path
) -> None:
    """With --from-url the same tasks come out, and not a byte of Tinytown's server changes; again, nothing is to do."""
    (tmp_path / "old").mkdir()
    with running_server(tmp_path / "old") as socket, closing(redis.Redis(unix_socket_path=str(socket))) as old:
        fill(old)
        before = dump(old)
        town = opened()
        with town.migration(f"unix://{socket}") as migration:
            migration.look()
            report = migration.run()
        assert dump(old) == before
        from_elsewhere = {task.id: fields(task) for task in town.page().tasks}
        with town.migration(f"unix://{socket}") as migration:
            assert not migration.look().has_work
            assert migration.run().adopted == 0
        # What Tinytown writes there later is told, and is nothing to adopt.
        key = f"tt:demo:task:{task_id(21)}"
        old.hset(key, "description", "Changed there")
        with town.migration(f"unix://{socket}") as migration:
            assert "from a record that reads otherwise" in whys(migration.look())[key]
    assert (report.adopted, report.set_aside) == (26, 0)
    assert town.upkeep.verify().findings == ()
    assert town.task("login").id == task_id(42)
    town.close()
    start_over(client)
    here = opened(*MIXED)
    migrate(here)
    assert {task.id: fields(task) for task in here.page().tasks} == from_elsewhere


def test_own_server_is_refused_as_another_one(opened: Callable[..., Town], server_socket: Path) -> None:
    """--from-url with the town's own server would take snapshots for records."""
    with pytest.raises(MigrationSourceError), opened().migration(f"unix://{server_socket}"):
        pass


# --- our own formats, and the old keys ---------------------------------------------------------------------------


def test_town_with_hash_tags_adopts_the_records_of_plain_keys(
    client: redis.Redis, server_socket: Path, tmp_path: Path
) -> None:
    """With `tt:{demo}:` no record lies in the place of a snapshot; each is renamed after its task is there."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "tinytown.toml").write_text(
        f'name = "demo"\n[redis]\nurl = "unix://{server_socket}"\nhash_tag = true\n', encoding="utf-8"
    )
    trust(folder)
    fill(client, *MIXED)
    with Town.open(folder, actor="ada") as town:
        assert migrate(town).adopted == 26
        assert client.exists(f"tt:{{demo}}:task:{task_id(21)}", f"tt:{{demo}}:legacy:tt:demo:task:{task_id(21)}") == 2
        assert not client.exists(f"tt:demo:task:{task_id(21)}")
        assert client.get(f"tt:demo:task:{task_id(62)}") == b"not JSON"
        assert not look(town).has_work
        client.set(town.keys.task(task_id(62)), "no snapshot")
        assert town.upkeep.rebuild().set_aside == 1
        assert town.legacy.look().unadopted == (f"tt:{{demo}}:legacy:tt:{{demo}}:task:{task_id(62)}",)


def test_local_record_is_kept_where_one_from_elsewhere_takes_its_place(
    opened: Callable[..., Town], client: redis.Redis, tmp_path: Path
) -> None:
    """The town's server has a record too, in the place of the snapshot: it is set aside before it is written over."""
    key = f"tt:demo:task:{task_id(21)}"
    client.set(key, "something else")
    (tmp_path / "old").mkdir()
    with running_server(tmp_path / "old") as socket, closing(redis.Redis(unix_socket_path=str(socket))) as old:
        fill(old, "hash")
        town = opened()
        with town.migration(f"unix://{socket}") as migration:
            migration.look()
            migration.run()
    assert client.get(f"tt:demo:legacy:{key}") == b"something else"
    assert town.task(task_id(21)).description == "Pay by card"


def test_alias_of_a_time_before_1970_is_given(opened: Callable[..., Town], client: redis.Redis) -> None:
    """A clock that was never set wrote such times; they order tasks like any other."""
    record = old_towns.old_fields(1) | {"updated_at": "1969-12-31T23:59:59Z", "created_at": "1969-12-31T23:59:59Z"}
    client.set(f"tt:task:{task_id(1)}", msgspec.json.encode(record | {"tags": ["plan:old"]}))
    town = opened()
    migrate(town)
    assert town.task("old").id == task_id(1)
    assert fields(town.task("old"))["created_at"] == "1969-12-31T23:59:59.000Z"


def test_projections_of_an_older_program_are_built_anew(opened: Callable[..., Town], client: redis.Redis) -> None:
    """A view that the town has no checkpoint of is built; then the town is as promised."""
    town = opened()
    town.create("Made here")
    client.delete(town.keys.checkpoint("alias"))
    assert look(town).is_projected_anew
    migrate(town)
    assert not look(town).has_work


def test_drop_legacy_deletes_the_old_keys_and_nothing_else(opened: Callable[..., Town], client: redis.Redis) -> None:
    """What is set aside is counted and deleted; every other key stays byte for byte."""
    town = opened(*MIXED)
    migrate(town)
    before = dump(client)
    legacy = town.legacy.drop()
    prefix = town.keys.legacy("").encode()
    assert legacy.keys == sum(name.startswith(prefix) for name in before)
    assert legacy.bytes > 0
    assert len(legacy.unadopted) == 4
    assert dump(client) == {name: value for name, value in before.items() if not name.startswith(prefix)}
    assert town.legacy.look().keys == 0


def test_drop_legacy_of_a_town_with_findings_deletes_nothing(opened: Callable[..., Town], client: redis.Redis) -> None:
    """Where a snapshot is not as promised, the old keys are kept."""
    town = opened("hash")
    migrate(town)
    client.set(town.keys.task(task_id(21)), "{}")
    before = dump(client)
    with pytest.raises(LegacyKeptError) as refused:
        town.legacy.drop()
    assert len(refused.value.findings) == 1
    assert dump(client) == before


def test_tasks_made_by_hand_say_so_and_adopted_ones_have_no_source(opened: Callable[..., Town]) -> None:
    """A town goes on after a migration as any other; numbers follow those of the adoption."""
    town = opened("hash")
    migrate(town)
    receipt = town.create("After it")
    assert [position.seq for position in receipt.positions] == [4]
    assert getattr(town.history(receipt.task.id)[0].event.data, "source", None) is Source.HAND


def test_contents_compare_what_the_server_holds(opened: Callable[..., Town], client: redis.Redis) -> None:
    """Two migrations of the same records end with the same keys and bytes, but for milliseconds in positions."""
    town = opened(*MIXED)
    migrate(town)
    first = contents(client, Keys("demo"))
    town.close()
    start_over(client)
    migrate(opened(*MIXED))
    assert contents(client, Keys("demo")) == first


def test_circle_that_closes_over_two_migrations_is_opened(
    client: redis.Redis, server_socket: Path, tmp_path: Path
) -> None:
    """A task was adopted below one that was not there; that one comes later, and says that it lies below the first."""
    with old_town(client, server_socket, tmp_path) as town:
        for number, parent in ((1, 2), (2, 1)):
            record = Standing(State.PENDING, None, is_started=False, has_ended=False, result=None).record(
                number, parent_id=task_id(parent)
            )
            write_record(client, record)
            migrate(town)
        assert (town.task(task_id(1)).parent_id, town.task(task_id(2)).parent_id) == (task_id(2), None)
