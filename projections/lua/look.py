"""`look.lua`, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from ledger import LinkKind, UnfitReplyError, is_id, script_source

if TYPE_CHECKING:
    from redis import Redis


_VALUES: Final = 9
"""How many values the reply has for each task."""
_KINDS: Final = tuple(LinkKind)


class LookKeys(NamedTuple):
    """The keys that the script reads; `snapshots` and `children` are prefixes, before a task's id, `agents` before a name."""

    ledger: str
    heads: str
    lease: str
    ids: str
    aliases: str
    open_children: str
    dependents: str
    blocked: str
    later: str
    checkpoints: Sequence[str]
    snapshots: str
    children: str
    agents: str


class TaskSeen(NamedTuple):
    """What the server holds about a task: its head, its snapshot, how many tasks are right below it, how many of them are open,
    how many open tasks need it, whether it is blocked, when it may begin, and how many kinds of links lead to it.

    `head` is empty if the task never existed. `snapshot` is empty if its key is free, and None if the key is not a string.
    `children` is -1 if its key is not a set, and the other numbers are -1 if their keys are of another type. `from_ms` is
    None for at any time; `has_times` is False if its key is not a sorted set.
    """

    head: bytes
    snapshot: bytes | None
    children: int
    open_children: int
    dependents: int
    is_blocked: int
    from_ms: float | None
    kinds_to_it: int
    has_times: bool


class Seen(NamedTuple):
    """What the server holds at one moment, in the order in which it was asked for.

    `end` and `last` are empty without a stream. `checkpoint` has the fields of the first checkpoint, or none if its key is not
    a hash. `others` has the first three fields of each other one, separated by blanks, or an empty text if one is missing.
    `holder` is empty if there is no lease, and None if its key is not a string. `adopted` has the id of the adopted task with
    each alias, or an empty id; `found` has the ids that begin with each prefix. `have_tasks` says for each agent whether it has
    tasks, and `is_actor_seen` is False if the actor was asked about and caused none of the last events. `missing` is the first
    position that the caller was told of and where no event is; empty if all are there.
    """

    end: bytes
    last: bytes
    holder: bytes | None
    remaining_ms: int
    checkpoint: list[bytes]
    others: list[bytes]
    adopted: list[bytes]
    found: list[list[bytes]]
    tasks: dict[str, TaskSeen]
    have_tasks: list[bool]
    is_actor_seen: bool
    missing: bytes


class NamesAsked(NamedTuple):
    """Agents and an actor (None: nobody) that may be new. The actor is looked for in the last `actor_events_max` events."""

    agents: Sequence[str]
    actor: str | None
    actor_events_max: int


class LookScript:
    """Reads a town before a command."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self,
        keys: LookKeys,
        *,
        fields: Sequence[str],
        task_ids: Sequence[str],
        aliases: Sequence[str],
        prefixes: Sequence[str],
        ids_max: int,
        names: NamesAsked,
        told: Sequence[str] = (),
    ) -> Seen:
        """The tasks with these ids, the adopted tasks with these aliases, and a task that is the only one with its prefix.

        At most `ids_max` ids are returned for a prefix. `fields` are those of a checkpoint. `names` may be new. `told` are
        positions that the caller was told of, the last one first.
        """
        given = [keys.ledger, keys.heads, keys.lease, keys.ids, keys.aliases]
        given += [keys.open_children, keys.dependents, keys.blocked, keys.later, *keys.checkpoints]
        written = "" if names.actor is None else f'"actor":{msgspec.json.encode(names.actor).decode()}'
        asked = msgspec.msgpack.encode((task_ids, aliases, prefixes, fields, names.agents, written, _KINDS))
        arguments: list[str | int | bytes] = [
            keys.snapshots,
            keys.children,
            ids_max,
            asked,
            keys.agents,
            names.actor_events_max,
            " ".join(told),
        ]
        reply = self._script(keys=given, args=arguments)
        return _understand(
            reply, (len(keys.checkpoints), len(aliases), len(prefixes), len(names.agents)), fields=len(fields)
        )


def _understand(reply: object, sizes: tuple[int, int, int, int], *, fields: int) -> Seen:
    match reply:
        case [
            bytes(end),
            bytes(last),
            bytes(holder) | (1 as holder),
            int(remaining_ms),
            list(checkpoints),
            list(adopted),
            list(found),
            list(tasks),
            list(have_tasks),
            0 | 1 as is_seen,
            bytes(missing),
        ]:
            if (
                all(position == b"" or is_id(position) for position in (end, last, missing))
                and (len(checkpoints), len(adopted), len(found), len(have_tasks)) == sizes
                and _are_bytes(checkpoints[0])
                and len(checkpoints[0]) in (0, fields)
                and _are_bytes(checkpoints[1:])
                and _are_bytes(adopted)
                and all(map(_are_bytes, found))
                and len(tasks) % _VALUES == 0
                and _are_bytes(tasks[::_VALUES])
                and _are_bytes(tasks[1::_VALUES])
                and all(type(snapshot) is bytes or snapshot == 1 for snapshot in tasks[2::_VALUES])
                and all(type(count) is int for place in (3, 4, 5, 6, 8) for count in tasks[place::_VALUES])
                and all(_is_score(from_ms) or from_ms == 1 for from_ms in tasks[7::_VALUES])
                and all(has in (0, 1) for has in have_tasks)
            ):
                seen = {
                    task_id.decode(errors="replace"): _task(*values)
                    for task_id, *values in zip(*(tasks[place::_VALUES] for place in range(_VALUES)), strict=True)
                }
                lease = holder if isinstance(holder, bytes) else None
                return Seen(
                    end,
                    last,
                    lease,
                    remaining_ms,
                    checkpoints[0],
                    checkpoints[1:],
                    adopted,
                    found,
                    seen,
                    have_tasks,
                    bool(is_seen),
                    missing,
                )
    raise UnfitReplyError("EVALSHA")


def _task(
    head: bytes,
    snapshot: bytes | Literal[1],
    children: int,
    open_children: int,
    dependents: int,
    is_blocked: int,
    from_ms: bytes | Literal[1],
    kinds_to_it: int,
) -> TaskSeen:
    return TaskSeen(
        head,
        None if snapshot == 1 else snapshot,
        children,
        open_children,
        dependents,
        is_blocked,
        None if from_ms in (1, b"") else float(from_ms),
        kinds_to_it,
        has_times=from_ms != 1,
    )


def _is_score(value: object) -> bool:
    """Whether it is a sorted set's score, or nothing."""
    try:
        return isinstance(value, bytes) and (value == b"" or float(value) is not None)
    except ValueError:
        return False


def _are_bytes(values: object) -> bool:
    return type(values) is list and all(type(value) is bytes for value in values)
