"""The JSON shapes of what can be worked on and of what blocks the rest. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ledger import format_ms
from shapes import Shape, moment_shape, next_shape, reader_shape, receipt_shape, task_shape

if TYPE_CHECKING:
    from ledger import Task
    from projections import Block, BlockedTask, CriticalPath, Waiting, WaitingBriefly
    from shapes.given import When
    from town import Reader, Receipt, Since, Town


def ready_shape(
    town: Town,
    reader: Reader,
    tasks: Sequence[Task],
    *,
    at: When | None,
    offset: int,
    after: int | None,
    dependents: Mapping[str, int] | None,
    waiting: Waiting | None,
) -> Shape:
    """A page of ready tasks, best first; with `dependents` and `waiting` also why."""
    explained: Shape = {} if waiting is None else {"dependents": dependents, "waiting": _waiting_shape(waiting)}
    page = {"town": town.name, **reader_shape(reader, at), **next_shape(offset=after), "offset": offset}
    return page | explained | {"tasks": [task_shape(task) for task in tasks]}


def _waiting_shape(waiting: Waiting) -> Shape:
    return {
        "total": waiting.total,
        "need_others": waiting.need_others,
        "need_given_up": waiting.need_given_up,
        "for_answer": waiting.for_answer,
        "for_time": waiting.for_time,
        "next_time": None if waiting.next_ms is None else format_ms(waiting.next_ms),
        "for_children": waiting.for_children,
    }


def blocked_shape(
    town: Town,
    reader: Reader,
    blocked: Sequence[BlockedTask],
    since: Mapping[tuple[str, str | None], Since],
    *,
    blocks_max: int,
    at: When | None,
    offset: int,
    after: int | None,
    total: int,
) -> Shape:
    """A page of blocked tasks, each with the chain behind it and the first things that block it."""
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "total": total,
        **next_shape(offset=after),
        "offset": offset,
        "tasks": [
            {"id": each.task.id, "task": task_shape(each.task), **blocks_shape(each, since, blocks_max=blocks_max)}
            for each in blocked
        ],
    }


def blocks_shape(blocked: BlockedTask, since: Mapping[tuple[str, str | None], Since], *, blocks_max: int) -> Shape:
    """The chain of tasks behind a blocked one, and the first `blocks_max` things that block it."""
    shown = blocked.blocks[:blocks_max]
    return {
        "chain": list(blocked.chain),
        "blocks": {
            "total": len(blocked.blocks),
            "has_more": len(blocked.blocks) > len(shown),
            "blocks": [_block_shape(block, since.get((block.holder.id, block.blocker_id))) for block in shown],
        },
    }


def _block_shape(block: Block, since: Since | None) -> Shape:
    return {
        "kind": block.kind,
        "holder": block.holder.id,
        "blocker": block.blocker_id,
        "task": task_shape(block.blocker),
        "since": None if since is None else moment_shape(since.position) | {"actor": since.actor},
    }


def chain_shape(town: Town, reader: Reader, chain: CriticalPath, *, at: When | None) -> Shape:
    """A chain of open tasks in working order, and what blocks the first one and is not open."""
    kept_by = None if chain.kept_by is None else {"id": chain.kept_by[0], "task": task_shape(chain.kept_by[1])}
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "total": len(chain.tasks),
        "kept_by": kept_by,
        "tasks": [task_shape(task) for task in chain.tasks],
    }


def next_task_shape(town: Town, receipt: Receipt) -> Shape:
    """The task that was taken."""
    return receipt_shape(town, receipt) | {"waiting": None}


def none_next_shape(town: Town, waiting: WaitingBriefly) -> Shape:
    """That nothing was taken, and how many pending tasks there are and what they wait for."""
    counts = {
        "pending": waiting.pending,
        "blocked": waiting.blocked,
        "for_answer": waiting.asked,
        "for_time": waiting.later,
    }
    return {"town": town.name, "task": None, "positions": [], "waiting": counts}
