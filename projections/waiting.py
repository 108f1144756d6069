"""Waiting: what keeps pending tasks from being begun, in numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from ledger import Keys, State, Task, exchange, raise_error, redis_errors
from projections.blocking import BlockKind, blocks_of
from projections.neighbours import BoardNeighbours, RedisNeighbours
from projections.readiness import Asked
from projections.views.by_state import ByState
from projections.views.by_tag import ByTag
from projections.views.inbox import QUESTION, Inbox
from projections.views.ready import BLOCKED, LATER, Ready, time_of

if TYPE_CHECKING:
    from redis import Redis

    from projections.live_board import LiveBoard

_GIVEN_UP = frozenset({State.FAILED, State.CANCELLED})


class Waiting(Struct, frozen=True, kw_only=True):
    """How many pending tasks cannot be begun, and why; one task may wait for several things.

    Those that `need_others` are kept by a need of their own or of a task above them, and those that wait `for_answer` likewise
    by a question. Of the first, `need_given_up` wait for a task that failed, was cancelled or was removed, which does not end
    by itself. `for_time` are those whose time has not come; the first may begin at `next_ms`, milliseconds since 1970 UTC.
    """

    total: int
    need_others: int
    need_given_up: int
    for_answer: int
    for_time: int
    for_children: int
    next_ms: int | None = None


class WaitingBriefly(Struct, frozen=True):
    """How many tasks are pending, and of these blocked, waiting for an answer to their own question, and for their time."""

    pending: int
    blocked: int
    asked: int
    later: int


def count_waiting(
    blocked: Collection[Task], tasks: Mapping[str, Task], times: Mapping[str, int], parents: Collection[str]
) -> Waiting:
    """Count pending tasks that are `blocked`, wait for their `times` (id -> milliseconds since 1970), or are `parents` of open ones.

    `tasks` has the blocked ones, those above them and those that they need. Pure.
    """
    need_others = need_given_up = for_answer = 0
    for task in blocked:
        blocks = list(blocks_of(task, tasks))
        needed = [block.blocker for block in blocks if block.kind is BlockKind.NEEDS]
        need_others += bool(needed)
        need_given_up += any(each is None or each.state in _GIVEN_UP for each in needed)
        for_answer += any(block.kind is BlockKind.QUESTION for block in blocks)
    return Waiting(
        total=len({*(task.id for task in blocked), *times, *parents}),
        need_others=need_others,
        need_given_up=need_given_up,
        for_answer=for_answer,
        for_time=len(times),
        for_children=len(parents),
        next_ms=min(times.values(), default=None),
    )


def waiting_on(tasks: Mapping[str, Task], *, now_ms: int) -> Waiting:
    """What keeps pending tasks on a board in memory, at a time in milliseconds since 1970 UTC. Pure."""
    neighbours = BoardNeighbours(tasks)
    pending = [task for task in tasks.values() if task.state is State.PENDING]
    gates = {task.id: neighbours.gate(task.id) for task in pending}
    return count_waiting(
        [task for task in pending if gates[task.id].is_blocked],
        tasks,
        {task_id: gate.from_ms for task_id, gate in gates.items() if gate.from_ms > now_ms},
        [task.id for task in pending if neighbours.counts(task.id).open_children],
    )


def read_waiting(client: Redis, keys: Keys, live: LiveBoard, *, where: str = "redis") -> Waiting:
    """The same, as of the checkpoint and the server's clock. Source: SMEMBERS, SINTER, ZRANGEBYSCORE, HMGET, MGET."""
    pending_key = keys.view(ByState.name, State.PENDING)
    with redis_errors(where):
        replies = exchange(client, [("SMEMBERS", pending_key), ("SINTER", pending_key, keys.view(Ready.name, BLOCKED))])
        raise_error(replies)
        pending, blocked = ([each.decode(errors="replace") for each in reply] for reply in replies)
    around = live.surroundings(blocked)
    return count_waiting(
        [around[task_id] for task_id in blocked if task_id in around],
        around,
        _times(client, keys, [pending_key], where=where),
        read_parents(client, keys, pending, where=where),
    )


def read_parents(client: Redis, keys: Keys, task_ids: Collection[str], *, where: str = "redis") -> list[str]:
    """Those of the tasks that have open ones right below them, as of the checkpoint. Source: HMGET."""
    if not task_ids:
        return []
    counts = RedisNeighbours(client, keys, where=where)(Asked(counts=task_ids)).counts
    return [task_id for task_id, count in counts.items() if count.open_children]


def read_dependents(client: Redis, keys: Keys, task_ids: Collection[str], *, where: str = "redis") -> dict[str, int]:
    """Task id -> how many open tasks need it, as of the checkpoint. Source: HMGET."""
    counts = RedisNeighbours(client, keys, where=where)(Asked(counts=task_ids)).counts
    return {task_id: count.dependents for task_id, count in counts.items()}


def read_waiting_briefly(
    client: Redis, keys: Keys, tags: Collection[str] = (), *, where: str = "redis"
) -> WaitingBriefly:
    """What pending tasks with all of these tags wait for, without reading a task. Source: ZINTERCARD, ZRANGEBYSCORE."""
    sets = [keys.view(ByState.name, State.PENDING), *(keys.view(ByTag.name, tag) for tag in tags)]
    views = [keys.view(Ready.name, BLOCKED), keys.view(Inbox.name, QUESTION)]
    with redis_errors(where):
        replies = exchange(
            client, [("ZINTERCARD", len(named), *named) for named in (sets, *([*sets, view] for view in views))]
        )
        raise_error(replies)
    pending, blocked, asked = map(int, replies)
    return WaitingBriefly(pending, blocked, asked, len(_times(client, keys, sets, where=where)))


def _times(client: Redis, keys: Keys, sets: Sequence[str], *, where: str) -> dict[str, int]:
    """When the tasks that are in all of the sets and wait for their time may begin, milliseconds since 1970 UTC."""
    later = keys.view(Ready.name, LATER)
    with redis_errors(where):
        seconds, micros = cast("tuple[int, int]", client.time())
        [found] = exchange(client, [("ZRANGEBYSCORE", later, f"({seconds * 1_000 + micros // 1_000}", "+inf")])
        raise_error([found])
        if not found:
            return {}
        ids = [each.decode(errors="replace") for each in found]
        are_in = exchange(client, [("SMISMEMBER", key, *ids) for key in sets])
        raise_error(are_in)
        scores = cast("list[float | None]", client.zmscore(later, ids))
    return {
        task_id: time_of(score)
        for task_id, score, *is_in in zip(ids, scores, *are_in, strict=True)
        if all(is_in) and score is not None
    }
