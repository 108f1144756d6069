"""What a town's snapshots, views and checkpoints must hold, computed from a folded board alone; and what they do hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import redis

from ledger import EventStore, Keys, Position, RecordedEvent, State, Task, flaw_of
from projections import VIEWS, Board, Counted, Member, Ranked, encode_snapshot
from projections.views.view import ViewEntry
from tests.support import readiness_model as model

Content = bytes | set[bytes] | dict[bytes, float] | dict[bytes, bytes]


def assert_projected(client: redis.Redis, keys: Keys, board: Board) -> None:
    """Fail unless every snapshot, view and checkpoint of the town is as the board says, and there is none beside."""
    expected = expected_keys(board, keys) | expected_tallies(client, keys, upto=board.position)
    actual = actual_keys(client, keys)
    assert legacy_keys(client, keys) == {}
    assert actual.keys() == expected.keys()
    for key, content in expected.items():
        assert actual[key] == content, key


def expected_keys(board: Board, keys: Keys) -> dict[str, Content]:
    """Key -> bytes of a string, members of a set, member -> score of a sorted set, field -> value of a hash."""
    found: dict[str, Content] = {keys.task(task.id): encode_snapshot(task) for task in board.tasks.values()}
    tied = _tied(board.tasks)
    for task in board.tasks.values():
        ready = expected_ready(tied | {task.id: task}, task)
        for view in VIEWS:
            for entry in (*view.entries(task), *(ready if view.name == "ready" else ())):
                key = keys.view(view.name, entry.part)
                match entry:
                    case Member():
                        cast("set[bytes]", found.setdefault(key, set())).add(task.id.encode())
                    case Counted():
                        counts = cast("dict[bytes, bytes]", found.setdefault(key, {}))
                        counts[entry.field.encode()] = b"%d" % (int(counts.get(entry.field.encode(), 0)) + 1)
                    case ranked:
                        assert ranked.score is not None
                        cast("dict[bytes, float]", found.setdefault(key, {}))[task.id.encode()] = ranked.score
    return found | _expected_checkpoints(board.position, keys)


def _tied(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks that name another one or are named. No other says anything about another, and the model asks all of them."""
    named = {each for task in tasks.values() for each in (task.parent_id, *task.needs)}
    return {task.id: task for task in tasks.values() if task.parent_id or task.needs or task.id in named}


def expected_ready(tasks: Mapping[str, Task], task: Task) -> Iterator[ViewEntry]:
    """What the view `ready` must hold about a task, by the plain model."""
    priority, unblocked, number = model.order(tasks, task)
    place = priority * 2**50 + (2**14 - 1 + unblocked) * 2**36 + number
    if task.state is State.PENDING and task.assigned_to is None:
        yield Ranked("backlog", place)
    if model.may_begin(tasks, task) and (task.state is State.PENDING or task.assigned_to is not None):
        yield Ranked("pending" if task.state is State.PENDING else f"agent:{task.assigned_to}", place)
    if model.is_blocked(tasks, task):
        yield Member("blocked")
    if model.from_ms(tasks, task):
        yield Ranked("later", model.from_ms(tasks, task))


def expected_tallies(client: redis.Redis, keys: Keys, *, upto: Position) -> dict[str, Content]:
    """The hashes of the views that follow events, counted from the ledger alone."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    board = Board()

    def observe(before: Task | None, recorded: RecordedEvent) -> None:
        if flaw_of(before, recorded) is not None or (before is not None and before.damaged_at is not None):
            # No command can make it, or it comes after one that none can: nothing happened.
            return
        for view in VIEWS:
            for counted in view.tally(before, recorded):
                counts[keys.view(view.name, counted.part)][counted.field] += 1

    for batch in EventStore(client, keys).read_batches(upto=upto):
        for recorded in batch:
            observe(board.get(recorded.task), recorded)
            board.fold([recorded])
    return {key: {field.encode(): b"%d" % count for field, count in fields.items()} for key, fields in counts.items()}


def actual_keys(client: redis.Redis, keys: Keys) -> dict[str, Content]:
    """As `expected_keys`, from every key of the town but the ledger, its heads and what is set aside."""
    names = sorted(cast("list[bytes]", list(client.scan_iter(match=f"{keys.prefix}:*", count=1_000))))
    names = [name for name in names if not name.startswith(keys.legacy("").encode())]
    ours = [name.decode() for name in names if name.decode() not in (keys.ledger, keys.heads)]
    ours = [name for name in ours if not name.startswith(keys.lease(""))]
    types, contents = client.pipeline(transaction=False), client.pipeline(transaction=False)
    for name in ours:
        types.type(name)
    for name, type_ in zip(ours, types.execute(), strict=True):
        _READS[type_](contents, name)
    return dict(zip(ours, map(_plain, contents.execute()), strict=True))


def legacy_keys(client: redis.Redis, keys: Keys) -> dict[bytes, bytes | None]:
    """Every key that is set aside, and its bytes."""
    legacy = keys.legacy("").encode()
    return {name: content for name, content in dump_keys(client, keys).items() if name.startswith(legacy)}


def dump_keys(client: redis.Redis, keys: Keys) -> dict[bytes, bytes | None]:
    """Every key of the town and its bytes, to show that nothing changed."""
    names = cast("list[bytes]", sorted(client.scan_iter(match=f"{keys.prefix}:*", count=1_000)))
    return dump_each(client, names)


def dump_each(client: redis.Redis, names: Sequence[bytes]) -> dict[bytes, bytes | None]:
    """The bytes of these keys, in one trip: tests look at all keys of a server before and after what they do."""
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.dump(name)
    return dict(zip(names, cast("list[bytes | None]", pipeline.execute()), strict=True))


def _expected_checkpoints(position: Position, keys: Keys) -> dict[str, Content]:
    projections = [("task", 1)] + [(view.name, view.schema_version) for view in VIEWS]
    return {
        keys.checkpoint(name): {
            b"position": position.encode(),
            b"schema_version": b"%d" % schema_version,
            b"generation": b"0",
        }
        | ({b"views": " ".join(view.name for view in VIEWS).encode()} if name == "task" else {})
        for name, schema_version in projections
    }


_READS: Final[dict[bytes, Callable[[Any, str], object]]] = {
    b"string": lambda pipeline, key: pipeline.get(key),
    b"set": lambda pipeline, key: pipeline.smembers(key),
    b"zset": lambda pipeline, key: pipeline.zrange(key, 0, -1, withscores=True),
    b"hash": lambda pipeline, key: pipeline.hgetall(key),
}
"""How a key of each type is read whole. A town has no others."""


def _plain(content: Any) -> Content:
    """Members with scores come as pairs."""
    return dict(content) if isinstance(content, list) else cast("Content", content)


def projected(client: Any, keys: Keys) -> dict[bytes, object]:
    """Snapshots and views of a town; sets and hashes in any order, for their bytes tell how they grew."""
    contents: dict[bytes, object] = {}
    for key in sorted(client.scan_iter(match=f"{keys.prefix}:*", count=1_000)):
        kind = client.type(key)
        if not key.startswith((keys.checkpoint("").encode(), keys.ledger.encode(), keys.heads.encode())):
            contents[key] = {
                b"string": client.get,
                b"set": client.smembers,
                b"zset": partial(client.zrange, start=0, end=-1, withscores=True),
                b"hash": client.hgetall,
            }[kind](key)
    return contents
