"""The plain model of readiness: what the words of the documentation say, task by task, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ledger import State, Task

Tasks = Mapping[str, Task]


def above(tasks: Tasks, task: Task) -> Iterator[Task]:
    """The task's parent, its parent, and so on; each once."""
    seen = {task.id}
    parent = tasks.get(task.parent_id or "")
    while parent is not None and parent.id not in seen:
        yield parent
        seen.add(parent.id)
        parent = tasks.get(parent.parent_id or "")


def is_open(task: Task) -> bool:
    return task.state in (State.PENDING, State.ASSIGNED, State.RUNNING)


def waits(tasks: Tasks, task: Task) -> bool:
    """Whether an open task waits for another task or for an answer."""
    if not is_open(task):
        return False
    completed = [each in tasks and tasks[each].state is State.COMPLETED for each in task.needs]
    return not all(completed) or (task.question is not None and task.answer is None)


def is_blocked(tasks: Tasks, task: Task) -> bool:
    return any(waits(tasks, each) for each in (task, *above(tasks, task)))


def from_ms(tasks: Tasks, task: Task) -> int:
    """When it may begin at the earliest, 0 is at any time: as the open ones of it and the tasks above say."""
    return max((each.not_before_ms or 0 for each in (task, *above(tasks, task)) if is_open(each)), default=0)


def open_children(tasks: Tasks, task: Task) -> int:
    return sum(each.parent_id == task.id and is_open(each) for each in tasks.values())


def dependents(tasks: Tasks, task: Task) -> int:
    """How many open tasks need it."""
    return sum(task.id in each.needs and is_open(each) for each in tasks.values())


def order(tasks: Tasks, task: Task) -> tuple[int, int, int]:
    """Priority, then those that unblock most, then the oldest."""
    return task.priority, -dependents(tasks, task), task.created_number or 0


def may_begin(tasks: Tasks, task: Task) -> bool:
    """Whether nothing but the time keeps the task from being begun."""
    return (
        task.state in (State.PENDING, State.ASSIGNED)
        and not is_blocked(tasks, task)
        and not open_children(tasks, task)
        and task.damaged_at is None
    )


def ready(tasks: Tasks, *, now_ms: int) -> list[Task]:
    """The pending tasks that can be begun now, in their order."""
    found = [
        task
        for task in tasks.values()
        if task.state is State.PENDING and may_begin(tasks, task) and from_ms(tasks, task) <= now_ms
    ]
    return sorted(found, key=lambda task: order(tasks, task))


def can_all_be_done(tasks: Tasks) -> bool:
    """Whether some order of work finishes every task: do what can be done until nothing more can."""
    begun: set[str] = set()
    done: set[str] = set()
    while True:
        more = {
            task.id
            for task in tasks.values()
            if task.id not in begun
            and all(each in done or each not in tasks for each in task.needs)
            and (task.parent_id in begun or task.parent_id not in tasks)
        }
        ended = {
            task.id
            for task in tasks.values()
            if task.id in begun | more
            and task.id not in done
            and all(it.id in done for it in tasks.values() if it.parent_id == task.id)
        }
        if not more and not ended:
            return done == set(tasks)
        begun |= more
        done |= ended
