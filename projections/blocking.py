"""Blocking: what keeps tasks from being begun, and the chains of tasks behind it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from ledger import State, Task


class BlockKind(StrEnum):
    """What blocks a task."""

    NEEDS = "needs"
    """A task that it needs is not completed."""
    QUESTION = "question"
    """It waits for an answer."""


class Block(Struct, frozen=True):
    """One thing that blocks a task: `holder`, the task itself or one above it, waits for `blocker`, or for an answer.

    `blocker` is None for a question, and for a task that is not there, which was removed; `blocker_id` is its id.
    """

    kind: BlockKind
    holder: Task
    blocker_id: str | None = None
    blocker: Task | None = None


class BlockedTask(Struct, frozen=True):
    """A task that is blocked, by what, and how many tasks are in the longest chain after it, of which each waits for the next."""

    task: Task
    blocks: tuple[Block, ...]
    chain_length: int
    next: Mapping[str, str]
    """Task id -> the next one in its longest chain, of this task and others."""

    @property
    def chain(self) -> tuple[str, ...]:
        """The ids of the longest chain after this task."""
        found = [self.task.id]
        while found[-1] in self.next:
            found.append(self.next[found[-1]])
        return tuple(found[1:])


def blocks_of(task: Task, tasks: Mapping[str, Task]) -> Iterator[Block]:
    """What blocks a task: first itself, then the tasks above it. `tasks` has them and the tasks that they need."""
    for holder in (task, *above(task, tasks)):
        if holder.state.is_terminal:
            continue
        for needed in holder.needs:
            blocker = tasks.get(needed)
            if blocker is None or blocker.state is not State.COMPLETED:
                yield Block(BlockKind.NEEDS, holder, needed, blocker)
        if holder.has_open_question:
            yield Block(BlockKind.QUESTION, holder)


def blocked_among(ids: Iterable[str], tasks: Mapping[str, Task]) -> list[BlockedTask]:
    """The open ones of `ids` that are blocked, with the longest chain first, then by priority and age.

    `tasks` has them, the tasks above them, and all that they wait for, directly or not.
    """
    chains = _Chains(tasks)
    found = []
    for task_id in ids:
        task = tasks.get(task_id)
        if task is None or task.state.is_terminal:
            continue
        blocks = tuple(blocks_of(task, tasks))
        if blocks:
            found.append(BlockedTask(task, blocks, chains.length(task_id), chains.next))
    found.sort(key=lambda each: (-each.chain_length, each.task.priority, each.task.created_number or 0))
    return found


def above(task: Task, tasks: Mapping[str, Task]) -> list[Task]:
    """The parent of a task, its parent, and so on, as far as `tasks` has them; each once."""
    found: dict[str, Task] = {task.id: task}
    parent = tasks.get(task.parent_id or "")
    while parent is not None and parent.id not in found:
        found[parent.id] = parent
        parent = tasks.get(parent.parent_id or "")
    return [*found.values()][1:]


class _Chains:
    """The longest chains of tasks that wait for each other.

    Kept are the length and the next task of each, not all that come after it, so that long chains stay small.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self.next: dict[str, str] = {}
        self._lengths: dict[str, int] = {}

    def length(self, task_id: str) -> int:
        """How many tasks come after this one. A circle, which no command makes, ends where it begins again."""
        way = {task_id: self._waits_for(task_id)} if task_id not in self._lengths else {}
        while way:
            current, waits_for = next(reversed(way.items()))
            unknown = next((each for each in waits_for if each not in self._lengths and each not in way), None)
            if unknown is not None:
                way[unknown] = self._waits_for(unknown)
                continue
            known = [each for each in waits_for if each in self._lengths]
            if known:
                self.next[current] = max(known, key=self._lengths.__getitem__)
            self._lengths[current] = 1 + self._lengths[self.next[current]] if known else 0
            del way[current]
        return self._lengths[task_id]

    def _waits_for(self, task_id: str) -> Collection[str]:
        task = self._tasks.get(task_id)
        if task is None or task.state.is_terminal:
            return ()
        return [block.blocker_id for block in blocks_of(task, self._tasks) if block.blocker_id is not None]
