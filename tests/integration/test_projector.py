"""Projecting on a real server: committed once whoever races, the same in every batch size, and stopped by damage."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from ledger import (
    BEGINNING,
    EventDecodingError,
    EventStore,
    Keys,
    LedgerDamagedError,
    NewerSchemaError,
    Position,
    SequenceGapError,
    StoreUnavailableError,
    TaskAssigned,
    TaskCreated,
    TaskNoted,
    TaskRemoved,
    TaskTagged,
    UnknownEventError,
    record,
)
from projections import (
    VIEWS,
    CheckpointAheadError,
    CheckpointMismatchError,
    LiveBoard,
    NewerProjectionError,
    OutdatedProjectionError,
    Projector,
    SnapshotDamagedError,
    Upkeep,
    encode_snapshot,
    replay,
)
from projections.readiness import Known
from tests.support.builders import TASK, an_event, append, task_id
from tests.support.expected_keys import actual_keys, assert_projected, dump_keys
from tests.support.histories import Filler
from tests.support.losses import fall_back, look_back
from tests.support.processes import workers_at_the_line
from town import Town

PROJECTORS = 4
COMMANDS = 600


def test_event_that_the_ledger_does_not_have_is_not_projected(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, live: LiveBoard
) -> None:
    """A failover can lose an event that was read, or told, before: the server that took over has another one in its place.

    The bug looked like this: the lost event was projected there, because the checkpoint was where it had been; then the
    event with the same number was taken for projected, and the snapshot stayed wrong without a word.
    """
    append(store, [TaskCreated("a")])
    projector.catch_up()
    task, before = live.get(TASK), dump_keys(client, keys)
    lost = record(an_event(TaskNoted("lost"), version=2), Position.of(ms=store.end().ms + 1_000, seq=2))
    checkpoints = projector.checkpoints.read_sound()
    assert not projector.project_own(checkpoints, [lost], {TASK: task}, Known.nothing())
    assert dump_keys(client, keys) == before
    append(store, [TaskNoted("kept")], expected=1)
    projector.catch_up()
    assert_projected(client, keys, replay(store))


@pytest.mark.parametrize("is_sound", [True, False], ids=["online", "fenced"])
def test_rebuild_that_folded_what_a_failover_took_away_writes_nothing_of_it(
    is_sound: bool, client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """It ends and says so, and given again it is right. The events that came instead have the same numbers."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    if not is_sound:
        client.hset(projector.checkpoints.keys[1], "position", "1-1")
    kept = look_back(client)
    append(store, [TaskNoted("lost"), TaskNoted("lost, too")], expected=1)
    if is_sound:
        projector.catch_up()
    upkeep = Upkeep(client, keys, store=store)

    def take_over(step: str, done: int, total: int) -> None:
        if step == "Folding" and done == total and store.end().seq == done:
            fall_back(client, kept)
            append(store, [TaskNoted("kept"), TaskNoted("kept, too"), TaskNoted("and more")], expected=1)
            if is_sound:
                projector.catch_up()

    with pytest.raises(StoreUnavailableError, match="lacks event 3, which was read from it before: another server"):
        upkeep.rebuild(progress=take_over)
    upkeep.rebuild()
    assert upkeep.verify().findings == ()


def test_rebuild_that_was_cut_off_says_that_the_next_command_goes_on(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """A connection that is lost ends it; no wait for the server follows, and whoever catches up next finishes it."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    client.delete(keys.task(TASK))
    upkeep = Upkeep(client, keys, store=store)

    def be_cut_off(step: str, *_: int) -> None:
        if step == "Writing":
            raise StoreUnavailableError("here", "did not answer", "Is it running?")

    with pytest.raises(StoreUnavailableError) as cut_off:
        upkeep.rebuild(progress=be_cut_off)
    assert "the next command goes on with it" in cut_off.value.__notes__[0]
    upkeep.catch_up()
    assert upkeep.verify().findings == ()


def test_catching_up_beside_a_failover_is_no_damage(
    client: redis.Redis, store: EventStore, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end that was to be reached is gone, and what is there is projected. What one's own command appended is missed."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    kept = look_back(client)
    look = EventStore.look_at_end

    def look_and_fall_back(self: EventStore) -> tuple[Position, Position]:
        append(store, [TaskNoted("lost")], expected=1)
        monkeypatch.setattr(EventStore, "look_at_end", look)
        ends = look(self)
        fall_back(client, kept)
        return ends

    monkeypatch.setattr(EventStore, "look_at_end", look_and_fall_back)
    assert projector.catch_up().seq == 1
    monkeypatch.setattr(EventStore, "look_at_end", look_and_fall_back)
    with pytest.raises(SequenceGapError):
        projector.catch_up(Position.of(ms=store.end().ms + 1_000, seq=2))


@pytest.fixture
def other(server_socket: Path, keys: Keys) -> Iterator[Projector]:
    """Another process's projector of the same town."""
    with redis.Redis(unix_socket_path=str(server_socket)) as client:
        yield Projector(client, keys)


def add_entry(client: redis.Redis, keys: Keys, payload: bytes | dict[str, object], **fields: bytes) -> Position:
    """Write an entry into the ledger past the append script, with the next sequence number."""
    last = EventStore(client, keys).end()
    position = Position.of(ms=last.ms, seq=last.seq + 1)
    content = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    entry: dict[Any, Any] = {"event": content, **fields}
    client.xadd(keys.ledger, entry, id=position)
    return position


def an_envelope(**fields: object) -> dict[str, object]:
    """The JSON of an event of TASK at version 2; any field may be given."""
    envelope: dict[str, object] = {
        "prev": None,
        "type": "task.noted",
        "schema": 1,
        "task": TASK,
        "version": 2,
        "actor": "alice",
        "command": "c",
        "data": {"text": "hm"},
    }
    return envelope | fields


# --- races -------------------------------------------------------------------------------------------------------


def test_catch_up_of_several_processes_and_threads_commits_every_event_once(
    client: redis.Redis, keys: Keys, store: EventStore, live: LiveBoard, server_socket: Path
) -> None:
    """They race in small batches while a writer goes on; the counts, which no second commit would leave right, are right."""
    filler = Filler(store, seed=1)
    filler.fill(COMMANDS // 2)

    def catch_up(batch_events_max: int) -> Position:
        with redis.Redis(unix_socket_path=str(server_socket)) as own:
            return Projector(own, keys, batch_events_max=batch_events_max).catch_up()

    arguments = [(server_socket, keys.town, size) for size in range(2, 2 + PROJECTORS // 2)]
    with workers_at_the_line("project", arguments) as workers, ThreadPoolExecutor(PROJECTORS) as threads:
        for worker in workers:
            worker.go()
        futures = [threads.submit(catch_up, size) for size in range(2, 2 + PROJECTORS)]
        filler.fill(COMMANDS // 2)
        for future in futures:
            future.result()
        for worker in workers:
            worker.finish()
    end = catch_up(7)
    board = replay(store)
    assert end == board.position == store.end()
    assert_projected(client, keys, board)
    assert live.count_states() == board.count_states()
    assert live.count_agents() == board.count_agents()


def test_commit_that_lost_writes_nothing(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, other: Projector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Another projector moves the checkpoint right before the commit: the commit says so, and no key is changed by it."""
    Filler(store, seed=2).fill(80)
    commit = projector._commit
    outcomes: list[tuple[bool, bool]] = []

    def commit_after_the_other(**arguments: Any) -> bool:
        other.catch_up()
        before = dump_keys(client, keys)
        is_committed = commit(**arguments)
        outcomes.append((is_committed, dump_keys(client, keys) == before))
        return is_committed

    monkeypatch.setattr(projector, "_commit", commit_after_the_other)
    assert projector.catch_up() == store.end()
    assert outcomes == [(False, True)]
    assert_projected(client, keys, replay(store))


def test_server_that_refuses_every_commit_without_another_one_ends_a_catch_up(
    store: EventStore, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that another projector was first, and the checkpoint shows none: that is no answer, and not tried for ever."""
    append(store, [TaskCreated("x")])
    monkeypatch.setattr(projector, "_commit", lambda **_: False)
    with pytest.raises(StoreUnavailableError, match="answered EVALSHA with something else"):
        projector.catch_up()


@pytest.mark.parametrize("upto_events", [1, 5, 40])
def test_catch_up_overtaken_between_its_reads_goes_on(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, other: Projector,
    monkeypatch: pytest.MonkeyPatch, upto_events: int,
) -> None:  # fmt: skip
    """Another projector commits after the events were read and before the snapshots are: that is a lost race, not damage.

    The bug looked like this: SequenceGapError, "version … should be 2 and is 1", on a sound ledger.
    """
    positions = Filler(store, seed=3, tasks=3).fill(200)
    load = projector._load

    def load_after_the_other(*arguments: Any) -> object:
        other.catch_up(positions[upto_events - 1])
        return load(*arguments)

    monkeypatch.setattr(projector, "_load", load_after_the_other)
    assert projector.catch_up() == store.end()
    assert_projected(client, keys, replay(store))


def test_catch_up_overtaken_by_removals_goes_on(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, other: Projector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The same where the other projector's batch removed the task, so that its snapshot is not there any more."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    append(store, [TaskNoted("b"), TaskRemoved()], expected=1)
    load = projector._load

    def load_after_the_other(*arguments: Any) -> object:
        other.catch_up()
        return load(*arguments)

    monkeypatch.setattr(projector, "_load", load_after_the_other)
    assert projector.catch_up() == store.end()
    assert_projected(client, keys, replay(store))


# --- the same keys, however they came to be ----------------------------------------------------------------------


def test_catch_up_in_batches_of_any_size_gives_identical_keys(
    client: redis.Redis, keys: Keys, store: EventStore
) -> None:
    """1, 7 and 500 events at a time lead to what the fold of the whole ledger says."""
    Filler(store, seed=4).fill(500)
    board = replay(store)
    for batch_events_max in (1, 7, 500):
        for key in actual_keys(client, keys):
            client.delete(key)
        assert Projector(client, keys, batch_events_max=batch_events_max).catch_up() == board.position
        assert_projected(client, keys, board)


def test_catch_up_upto_a_position_stops_at_or_after_it(client: redis.Redis, keys: Keys, store: EventStore) -> None:
    """Every event up to the position is in; the keys are those of the checkpoint that is returned."""
    positions = Filler(store, seed=5).fill(100)
    projector = Projector(client, keys, batch_events_max=10)
    for goal in (positions[4], positions[9], positions[10], positions[-1]):
        reached = projector.catch_up(goal)
        assert reached >= goal
        assert_projected(client, keys, replay(store, upto=reached))


def test_catch_up_tells_its_progress(client: redis.Redis, keys: Keys, store: EventStore) -> None:
    """Before the first batch and after each: where it is, and where it goes. Without the first, a bar would begin too late."""
    positions = append(store, [TaskCreated("a"), *(TaskNoted(str(number)) for number in range(4))])
    told: list[tuple[Position, Position]] = []
    Projector(client, keys, batch_events_max=2).catch_up(progress=lambda at, goal: told.append((at, goal)))
    assert told == [(at, positions[-1]) for at in (BEGINNING, positions[1], positions[3], positions[4])]


@pytest.mark.parametrize("batch_events_max", [1, 2, 500])
def test_removed_and_re_created_task_is_projected_as_it_is_now(
    client: redis.Redis, keys: Keys, store: EventStore, batch_events_max: int
) -> None:
    """Its versions go on, its rank is that of its new creation, and nothing of its first life is left in a view."""
    first = [TaskCreated("a", tags=("old",)), TaskAssigned("worker-1"), TaskRemoved()]
    append(store, first)
    append(store, [TaskCreated("between")], task=task_id(2))
    append(store, [TaskCreated("b", tags=("new",)), TaskTagged(added=("urgent",))], expected=3)
    projector = Projector(client, keys, batch_events_max=batch_events_max)
    projector.catch_up()
    board = replay(store)
    assert_projected(client, keys, board)
    assert [task.id for task in board.page().tasks] == [task_id(2), TASK]
    live = LiveBoard(client, keys)
    assert [task.id for task in live.page().tasks] == [task_id(2), TASK]


def test_task_removed_and_re_created_in_one_batch_is_ranked_anew(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, live: LiveBoard
) -> None:
    """Tasks are listed by age, and a task that came back is as old as its new creation.

    The bug looked like this: it kept its old place, because entries before and after the batch were compared without it.
    """
    append(store, [TaskCreated("a")])
    append(store, [TaskCreated("b")], task=task_id(2))
    projector.catch_up()
    append(store, [TaskRemoved(), TaskCreated("a again")], expected=1)
    projector.catch_up()
    board = replay(store)
    assert [task.id for task in live.page().tasks] == [task.id for task in board.page().tasks] == [task_id(2), TASK]
    assert_projected(client, keys, board)


def test_view_with_more_members_than_one_lua_call_takes_is_projected(
    client: redis.Redis, keys: Keys, store: EventStore
) -> None:
    """Lua unpacks some 8,000 values; a batch may bring more for one key."""
    tasks = [task_id(number) for number in range(9_000)]
    events = [an_event(TaskCreated("a", tags=("many",)), task=task) for task in tasks]
    store.append(events, dict.fromkeys(tasks, 0))
    Projector(client, keys, batch_events_max=10_000).catch_up()
    assert_projected(client, keys, replay(store))


# --- checkpoints -------------------------------------------------------------------------------------------------


def test_checkpoint_ahead_of_the_ledger_is_reported(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """Events that were projected and are gone were lost: nothing is projected on top of that."""
    last = append(store, [TaskCreated("a"), TaskNoted("b")])[-1]
    projector.catch_up()
    client.xdel(keys.ledger, last)
    before = dump_keys(client, keys)
    with pytest.raises(CheckpointAheadError, match=last):
        projector.catch_up()
    assert dump_keys(client, keys) == before


@pytest.mark.parametrize("projection", ["task", *(view.name for view in VIEWS)])
def test_checkpoint_of_a_newer_schema_version_stops_the_projector(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, projection: str
) -> None:
    """A newer program has been here: this one writes nothing and says to upgrade."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    append(store, [TaskNoted("b")], expected=1)
    newer = {"task": 1, **{view.name: view.schema_version for view in VIEWS}}[projection] + 1
    client.hset(keys.checkpoint(projection), "schema_version", str(newer))
    before = dump_keys(client, keys)
    with pytest.raises(NewerProjectionError, match=f"projection {projection} has schema {newer}.*upgrade"):
        projector.catch_up()
    assert dump_keys(client, keys) == before


def test_checkpoint_of_an_older_schema_version_stops_the_projector(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """Mixing two schema versions in one view would make it wrong for both."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    append(store, [TaskNoted("b")], expected=1)
    client.hset(keys.checkpoint("tag"), "schema_version", "0")
    before = dump_keys(client, keys)
    with pytest.raises(OutdatedProjectionError):
        projector.catch_up()
    assert dump_keys(client, keys) == before


def test_checkpoint_out_of_step_stops_the_projector(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """All projections stand at one position, or somebody moved one."""
    first, _ = append(store, [TaskCreated("a"), TaskNoted("b")])
    projector.catch_up()
    client.hset(keys.checkpoint("backlog"), "position", first)
    before = dump_keys(client, keys)
    with pytest.raises(CheckpointMismatchError, match=r"backlog.*" + first):
        projector.catch_up()
    assert dump_keys(client, keys) == before


def test_checkpoint_of_a_newer_generation_refuses_the_commit(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild raises the generation: what was folded for the old one is not written."""
    append(store, [TaskCreated("a")])
    commit = projector._commit
    answers: list[bool] = []

    def commit_after_a_rebuild_began(**arguments: Any) -> bool:
        if not answers:
            for key, checkpoint in arguments["checkpoints"]:
                fields = {"position": "0-0", "schema_version": checkpoint.schema_version, "generation": 1}
                client.hset(key, mapping=fields)
        answers.append(commit(**arguments))
        return answers[-1]

    monkeypatch.setattr(projector, "_commit", commit_after_a_rebuild_began)
    projector.catch_up()
    assert answers == [False, True]
    assert actual_keys(client, keys)[keys.checkpoint("task")] == {
        b"position": store.end().encode(),
        b"schema_version": b"1",
        b"generation": b"1",
        b"views": projector.checkpoints.views.encode(),
    }


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"not JSON", EventDecodingError),
        (b"\xff\xfe", EventDecodingError),
        (b"{}", EventDecodingError),
        (b"[]", EventDecodingError),
        (an_envelope(version="2"), EventDecodingError),
        (an_envelope(type="task.exploded"), UnknownEventError),
        (an_envelope(schema=2), NewerSchemaError),
        (an_envelope(schema=2, data={"note": "in a newer shape"}), NewerSchemaError),
        (an_envelope(version=3), SequenceGapError),
    ],
    ids=str,
)
def test_entry_that_is_no_event_stops_the_projector_at_its_position(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector,
    payload: bytes | dict[str, object], error: type[LedgerDamagedError],
) -> None:  # fmt: skip
    """It is named and never skipped; of the batch it is in, nothing is committed, and what was before stays."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    append(store, [TaskCreated("sound")], task=task_id(2))
    position = add_entry(client, keys, payload)
    before = dump_keys(client, keys)
    with pytest.raises(error, match=position) as caught:
        projector.catch_up()
    assert type(caught.value) is error
    assert dump_keys(client, keys) == before
    with pytest.raises(error, match=position):
        replay(store)


@pytest.mark.parametrize(
    "payload",
    [an_envelope(data={}), an_envelope(occurred_at="yesterday"), an_envelope(task=task_id(7), version=1)],
    ids=str,
)
def test_event_that_no_command_can_make_stops_nobody(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, payload: dict[str, object]
) -> None:
    """Only its task is concerned: other tasks are projected, and the snapshots are what the fold of the ledger is (P5)."""
    append(store, [TaskCreated("a")])
    append(store, [TaskCreated("sound")], task=task_id(2))
    position = add_entry(client, keys, payload)
    projector.catch_up()
    board = replay(store)
    for task in (TASK, task_id(2), task_id(7)):
        state = board.get(task)
        expected = None if state is None else encode_snapshot(state)
        assert client.get(keys.task(task)) == expected
    marked = {task.id: task.damaged_at for task in board.tasks.values() if task.damaged_at is not None}
    assert marked == ({} if payload["task"] == task_id(7) else {TASK: position})


def test_entry_with_foreign_fields_stops_the_projector_at_its_position(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """An event has one field."""
    append(store, [TaskCreated("a")])
    position = add_entry(client, keys, an_envelope(), more=b"of this")
    with pytest.raises(EventDecodingError, match=position):
        projector.catch_up()
    assert actual_keys(client, keys) == {}


def test_missing_event_stops_the_projector_at_the_gap(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """The next event's number does not follow."""
    positions = append(store, [TaskCreated("a"), TaskNoted("b"), TaskNoted("c")])
    client.xdel(keys.ledger, positions[1])
    with pytest.raises(SequenceGapError, match=f"At {positions[2]} the sequence number should be 2 and is 3"):
        projector.catch_up()
    assert actual_keys(client, keys) == {}


def test_snapshot_that_is_none_stops_the_projector(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """Somebody wrote into a snapshot: the key is named, and nothing is built on it."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    client.set(keys.task(TASK), "{}")
    append(store, [TaskNoted("b")], expected=1)
    before = dump_keys(client, keys)
    with pytest.raises(SnapshotDamagedError, match=keys.task(TASK)):
        projector.catch_up()
    assert dump_keys(client, keys) == before


def test_snapshot_of_the_wrong_type_stops_the_projector(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """A hash in the place of a snapshot is damage, and it stays as it is."""
    append(store, [TaskCreated("a")])
    projector.catch_up()
    client.delete(keys.task(TASK))
    client.hset(keys.task(TASK), "field", "value")
    append(store, [TaskNoted("b")], expected=1)
    before = dump_keys(client, keys)
    with pytest.raises(LedgerDamagedError):
        projector.catch_up()
    assert dump_keys(client, keys) == before


def test_foreign_key_in_the_place_of_a_new_snapshot_is_not_overwritten(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector
) -> None:
    """The task is new, and a hash of somebody else's lies at its key: that is reported, not papered over."""
    client.hset(keys.task(TASK), "field", "value")
    append(store, [TaskCreated("a")])
    before = dump_keys(client, keys)
    with pytest.raises(LedgerDamagedError):
        projector.catch_up()
    assert dump_keys(client, keys) == before


@pytest.mark.parametrize("view", [("state", "pending"), ("created", None), ("counts", "state")])
def test_view_of_the_wrong_type_stops_the_commit_before_its_first_write(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, view: tuple[str, str | None]
) -> None:
    """A script does not roll back: snapshots without their checkpoint would be more than the ledger up to it (P5)."""
    client.set(keys.view(*view), "not a view")
    append(store, [TaskCreated("a")])
    before = dump_keys(client, keys)
    with pytest.raises(LedgerDamagedError):
        projector.catch_up()
    assert dump_keys(client, keys) == before


def test_command_on_a_snapshot_of_the_wrong_type_writes_nothing(
    client: redis.Redis, server_socket: Path, tmp_path: Path
) -> None:
    """Through the door it is damage too: who writes is refused, who reads is given the history's fold and told of it."""
    with Town.init(tmp_path / "town", name="wrong-type", url=f"unix://{server_socket}") as town:
        task = town.create("a", agent="worker-1").task.id
        client.delete(town.keys.task(task))
        client.rpush(town.keys.task(task), "a list")
        before = dump_keys(client, town.keys)
        with pytest.raises(LedgerDamagedError):
            town.start(task)
        assert town.task(task).description == "a"
        assert town.lost_snapshots == {task}
        assert dump_keys(client, town.keys) == before
        assert [step.event.version for step in town.history(task)] == [1, 2]
