"""Blocking: what keeps tasks from being begun, and the chains of tasks behind it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from ledger import State, Task, Ties, WorkStep, waits_for


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
    """A task that is blocked, by what, and how many tasks have to be done one after another before it can be begun."""

    task: Task
    blocks: tuple[Block, ...]
    chain_length: int
    before: Mapping[WorkStep, WorkStep]
    """What comes right before a step in the longest chain, of this task and others."""

    @property
    def chain(self) -> tuple[str, ...]:
        """The ids of the longest chain before this task, the last one to be done first."""
        return tuple(done_before(WorkStep(self.task.id, is_done=False), self.before))


class CriticalPath(Struct, frozen=True):
    """Open tasks that wait for each other, the first to do first; `kept_by` is what blocks the first one and is not open.

    It is the id of a task and the task, None if that was removed.
    """

    tasks: tuple[Task, ...] = ()
    kept_by: tuple[str, Task | None] | None = None


def blocks_of(task: Task, tasks: Mapping[str, Task]) -> Iterator[Block]:
    """What blocks a task: first itself, then the tasks above it. `tasks` has them and the tasks that they need."""
    for holder in (task, *above(task, tasks)):
        if holder.state.is_terminal:
            continue
        for needed in _not_completed(holder, tasks):
            yield Block(BlockKind.NEEDS, holder, needed, tasks.get(needed))
        if holder.has_open_question:
            yield Block(BlockKind.QUESTION, holder)


def blocked_among(ids: Iterable[str], tasks: Mapping[str, Task]) -> list[BlockedTask]:
    """The open ones of `ids` that are blocked, with the longest chain first, then by priority and age.

    `tasks` has them, the tasks above them, and all that they wait for, directly or not.
    """
    chains = _Chains(tasks)
    found = []
    for task in _open_among(ids, tasks):
        blocks = tuple(blocks_of(task, tasks))
        if blocks:
            length = chains.length(WorkStep(task.id, is_done=False))
            found.append(BlockedTask(task, blocks, length, chains.before))
    found.sort(key=lambda each: (-each.chain_length, *_rank(each.task)))
    return found


def critical_path(ids: Iterable[str], tasks: Mapping[str, Task]) -> CriticalPath:
    """The longest chain that ends with one of `ids` done; of equal ones that of the highest priority, then of the oldest.

    `tasks` has them, the tasks above them, and all that they wait for, directly or not, until they are done.
    """
    chains = _Chains(tasks)
    ends = [WorkStep(task.id, is_done=True) for task in sorted(_open_among(ids, tasks), key=_rank)]
    lengths = {end: chains.length(end) for end in ends}
    # A chain may begin with a task that is not open, and is then shorter by one.
    longest = max(lengths.values(), default=0) - 1
    paths = [_path(end, tasks, chains.before) for end in ends if lengths[end] >= longest]
    return max(paths, key=lambda path: len(path.tasks), default=CriticalPath())


def and_above(ids: Iterable[str], tasks: Mapping[str, Task]) -> list[str]:
    """The ids, and those of the tasks above them, each once."""
    found = [tasks[task_id] for task_id in ids if task_id in tasks]
    return [*dict.fromkeys(each.id for task in found for each in (task, *above(task, tasks)))]


def tied_to(task: Task) -> list[str]:
    """The ids of the tasks that it needs, and of its parent."""
    return [*task.needs, *([] if task.parent_id is None else [task.parent_id])]


def _path(end: WorkStep, tasks: Mapping[str, Task], before: Mapping[WorkStep, WorkStep]) -> CriticalPath:
    found: list[Task] = []
    for task_id in (end.task_id, *done_before(end, before)):
        task = tasks.get(task_id)
        if task is None or task.state.is_terminal:
            return CriticalPath(tuple(found[::-1]), (task_id, task))
        found.append(task)
    return CriticalPath(tuple(found[::-1]))


def _open_among(ids: Iterable[str], tasks: Mapping[str, Task]) -> list[Task]:
    found = (tasks.get(task_id) for task_id in ids)
    return [task for task in found if task is not None and not task.state.is_terminal]


def _rank(task: Task) -> tuple[int, int, str]:
    """The order among equals, the same for every reader."""
    return task.priority, task.created_number or 0, task.id


def steps_before(
    step: WorkStep, tasks: Mapping[str, Task], open_below: Mapping[str, Collection[str]]
) -> Collection[WorkStep]:
    """The steps right before a step, which are not there yet. `open_below` has the open tasks right below each."""
    task = tasks.get(step.task_id)
    if task is None or (step.is_done and task.state.is_terminal):
        return ()
    needs = () if task.state.is_terminal else tuple(_not_completed(task, tasks))
    parent_id = task.parent_id if task.parent_id in tasks else None
    return waits_for(step, Ties(parent_id, needs), open_below.get(task.id, ()))


def done_before(step: WorkStep, before: Mapping[WorkStep, WorkStep]) -> Iterator[str]:
    """The ids of the tasks that are done before a step in its longest chain, the last one first."""
    while step in before:
        step = before[step]
        if step.is_done:
            yield step.task_id


def above(task: Task, tasks: Mapping[str, Task]) -> list[Task]:
    """The parent of a task, its parent, and so on, as far as `tasks` has them; each once."""
    found: dict[str, Task] = {task.id: task}
    parent = tasks.get(task.parent_id or "")
    while parent is not None and parent.id not in found:
        found[parent.id] = parent
        parent = tasks.get(parent.parent_id or "")
    return [*found.values()][1:]


def _not_completed(task: Task, tasks: Mapping[str, Task]) -> list[str]:
    """The ids of what a task needs and is not completed: the most urgent first, then the oldest; removed ones last."""
    found = [each for each in task.needs if each not in tasks or tasks[each].state is not State.COMPLETED]
    return sorted(found, key=lambda each: (each not in tasks, *(_rank(tasks[each]) if each in tasks else ())))


class _Chains:
    """The longest chains of tasks that wait for each other.

    Kept are the length and the step right before each, not all that come before it, so that long chains stay small.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._open_below: dict[str, list[str]] = {}
        for task in sorted(tasks.values(), key=_rank):
            if task.parent_id is not None and not task.state.is_terminal:
                self._open_below.setdefault(task.parent_id, []).append(task.id)
        self.before: dict[WorkStep, WorkStep] = {}
        self._lengths: dict[WorkStep, int] = {}

    def length(self, step: WorkStep) -> int:
        """How many tasks are done before a step. A circle, which no command makes, ends where it begins again."""
        way = {step: self._before(step)} if step not in self._lengths else {}
        while way:
            current, waits_for = next(reversed(way.items()))
            unknown = next((each for each in waits_for if each not in self._lengths and each not in way), None)
            if unknown is not None:
                way[unknown] = self._before(unknown)
                continue
            known = [each for each in waits_for if each in self._lengths]
            if known:
                self.before[current] = max(known, key=self._with)
            self._lengths[current] = max(map(self._with, known), default=0)
            del way[current]
        return self._lengths[step]

    def _with(self, step: WorkStep) -> int:
        """How many tasks are done once a step is there."""
        return self._lengths[step] + step.is_done

    def _before(self, step: WorkStep) -> Collection[WorkStep]:
        return steps_before(step, self._tasks, self._open_below)
