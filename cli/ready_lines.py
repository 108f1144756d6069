"""How ready and blocked tasks are shown to people: rows, lines and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.due_words import due_words
from cli.limits import BLOCKS_SHOWN
from cli.output import STATE_STYLES, Cell, say, say_apart, say_hanging, say_table
from cli.render import NOTHING, task_state_cell, without_column
from cli.styled import Styled
from cli.text import (
    TITLE_CHARS_SHOWN,
    counted,
    icon_of,
    name_and_title,
    name_of,
    short_id,
    short_title,
    shortened,
    visible,
)
from ledger import PRIORITY_DEFAULT, State, Task, from_ms
from projections import BlockKind
from town import local_time

if TYPE_CHECKING:
    from projections import Block, BlockedTask, CriticalPath, Waiting, WaitingBriefly
    from town import Since

_KEEPS: dict[State | None, str] = {
    None: "it was removed, so it keeps blocking",
    State.FAILED: "it failed, so it keeps blocking",
    State.CANCELLED: "it was cancelled, so it keeps blocking",
}
_CHAIN_SHOWN_MAX = 10
_MORE_COLUMNS = ("PRIO", "DUE", "AGENT", "TAGS")
"""The columns that are shown only where a task has something there."""


def ready_rows(
    tasks: Sequence[Task], *, now_ms: int, dependents: Mapping[str, int] | None
) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of ready tasks; WHY only with `dependents`, how many open tasks need each.

    Due times are told from `now_ms`, milliseconds since 1970 UTC.
    """
    columns = ["TASK", "PRIO", "DUE", "AGENT", "TITLE", "TAGS", "WHY"]
    rows: list[list[Cell]] = [
        [
            name_of(task),
            f"{task.priority}" if any(each.priority != PRIORITY_DEFAULT for each in tasks) else "",
            "" if task.due_ms is None else due_words(task.due_ms, now_ms=now_ms),
            visible(task.assigned_to or ""),
            short_title(task),
            visible(", ".join(task.tags)),
            "" if dependents is None else _why(task, dependents[task.id]),
        ]
        for task in tasks
    ]
    for column in (*_MORE_COLUMNS, *(("WHY",) if dependents is None else ())):
        index = columns.index(column)
        if not any(row[index] for row in rows):
            columns, rows = without_column(columns, rows, column)
    return columns, rows


def _why(task: Task, dependents: int) -> str:
    needed = f"{counted(dependents, 'open task')} {'needs' if dependents == 1 else 'need'} it" if dependents else ""
    parts = [f"priority {task.priority}", needed, f"waits since {local_time(task.created_at)}"]
    return ", ".join(part for part in parts if part)


def say_waiting(waiting: Waiting, *, is_past: bool, is_any_ready: bool) -> None:
    """What keeps the other pending tasks from being ready."""
    if not waiting.total:
        say_apart(f"No {'other ' if is_any_ready else ''}task {'was' if is_past else 'is'} pending.")
        return
    one = waiting.total == 1
    verb = ("is" if one else "are") if not is_past else ("was" if one else "were")
    more = "" if one else "; one may wait for several things"
    say_apart(f"{waiting.total:,} pending {'task' if one else 'tasks'} {verb} not ready{more}:")
    for count, words in _waiting_lines(waiting):
        say_hanging(f"  {count:>7,}  ", words)


def _waiting_lines(waiting: Waiting) -> Iterator[tuple[int, str]]:
    if count := waiting.need_others:
        yield count, f"{_verb(count, 'need')} others, or {_verb(count, 'are')} below a task that does: `tt blocked`"
    if count := waiting.need_given_up:
        words = "a failed, cancelled or removed task, which keeps blocking: reopen it, or `tt task unlink`"
        yield count, f"of these {_verb(count, 'need')} {words}"
    if count := waiting.for_answer:
        yield (
            count,
            f"{_verb(count, 'wait')} for an answer, or {_verb(count, 'are')} below a task that does: `tt inbox`",
        )
    if count := waiting.for_time:
        first = "" if waiting.next_ms is None else f"; the first from {local_time(from_ms(waiting.next_ms))} on"
        yield count, f"{_verb(count, 'are')} not to be begun before a time{first}"
    if count := waiting.for_children:
        yield count, f"{_verb(count, 'have')} open children, which are the work: `tt task tree`"


def _verb(count: int, verb: str) -> str:
    """The form of a verb that so many tasks have."""
    return verb if count != 1 else {"are": "is", "have": "has"}.get(verb, f"{verb}s")


def removed_blockers(blocked: Sequence[BlockedTask]) -> list[str]:
    """The ids of the removed tasks that are shown as what blocks these."""
    shown = [block for each in blocked for block in each.blocks[:BLOCKS_SHOWN]]
    return [block.blocker_id for block in shown if block.blocker_id is not None and block.blocker is None]


def say_blocked(
    blocked: Sequence[BlockedTask], since: Mapping[tuple[str, str | None], Since], removed: Mapping[str, str]
) -> None:
    """Each blocked task, and below it what blocks it. `removed` has what removed tasks were called and about."""
    for each in blocked:
        task = each.task
        icon = Styled.of(icon_of(task), STATE_STYLES[task.state])
        length = each.chain_length
        chain = f"  ({counted(length, 'task')} in a row before it)" if length > 1 else ""
        say_hanging(Styled.assemble(icon, f" {name_of(task)}  "), Styled.assemble(short_title(task), (chain, "dim")))
        say_blocks(each, since, removed)


def say_blocks(blocked: BlockedTask, since: Mapping[tuple[str, str | None], Since], removed: Mapping[str, str]) -> None:
    """The first things that block a task, a line each."""
    task = blocked.task
    for block in blocked.blocks[:BLOCKS_SHOWN]:
        say_hanging("    ", _block_words(block, task, since.get((block.holder.id, block.blocker_id)), removed))
    if len(blocked.blocks) > BLOCKS_SHOWN:
        say_hanging("    ", f"and {len(blocked.blocks) - BLOCKS_SHOWN:,} more: `tt task show {short_id(task.id)}`")


def chain_names(chain: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """What the tasks of a chain are called, the next one first; of a long chain those at its ends."""
    called = [names.get(task_id, visible(short_id(task_id))) for task_id in chain]
    if len(called) <= _CHAIN_SHOWN_MAX:
        return called
    half = _CHAIN_SHOWN_MAX // 2
    return [*called[:half], f"… {len(called) - 2 * half:,} more …", *called[-half:]]


def _block_words(block: Block, task: Task, since: Since | None, removed: Mapping[str, str]) -> str:
    """What blocks a task, or one above it, and since when."""
    whose = "" if block.holder.id == task.id else f"{name_of(block.holder)}, above it, "
    began = "" if since is None else f"; since {local_time(since.position.time)}, by {visible(since.actor)}"
    if block.kind is BlockKind.QUESTION:
        question = shortened(visible(block.holder.question or ""), TITLE_CHARS_SHOWN)
        return f"{whose}waits for an answer: {question}{began}"
    return f"{whose}needs {_blocker_words(block, removed)}{began}"


def _blocker_words(block: Block, removed: Mapping[str, str]) -> str:
    blocker = block.blocker
    if blocker is None:
        task_id = block.blocker_id or ""
        return f"{removed.get(task_id, short_id(task_id))}: {_KEEPS[None]}"
    state = _KEEPS.get(blocker.state)
    agent = f", {visible(blocker.holder)} has it" if blocker.holder is not None else ""
    words = f"{blocker.state}{agent}" if state is None else state
    return f"{name_of(blocker)}  {short_title(blocker)}: {words}"


def say_chain(chain: CriticalPath, last: Task | None, removed: Mapping[str, str], *, is_past: bool) -> None:
    """The tasks in working order, numbered; `last` is the one that was asked about.

    `removed` has what removed tasks were called and about.
    """
    if len(chain.tasks) < 2 and chain.kept_by is None:
        verb = "waited" if is_past else "waits"
        say(f"No open task {verb} for another." if last is None else f"{name_of(last)} {verb} for no task.")
        return
    if chain.kept_by is not None:
        task_id, task = chain.kept_by
        name = removed.get(task_id, short_id(task_id)) if task is None else name_and_title(task)
        say_hanging("Before all of them: ", f"{name}: {_KEEPS[None if task is None else task.state]}")
    rows: list[list[Cell]] = [
        [f"{number}", name_of(task), task_state_cell(task), visible(task.holder or NOTHING), short_title(task)]
        for number, task in enumerate(chain.tasks, 1)
    ]
    columns = ["STEP", "TASK", "STATE", "AGENT", "TITLE"]
    if not any(task.holder for task in chain.tasks):
        columns, rows = without_column(columns, rows, "AGENT")
    say_table(columns, rows, flexible="TITLE")


def nothing_words(waiting: WaitingBriefly, agent: str) -> str:
    """That nothing is ready for an agent, and what waits."""
    by_others = waiting.blocked - waiting.asked
    parts = [
        *([f"{counted(by_others, 'task')} blocked (`tt blocked`)"] if by_others else []),
        *([f"{counted(waiting.asked, 'task')} waiting for an answer (`tt inbox`)"] if waiting.asked else []),
        *([f"{counted(waiting.later, 'task')} not to be begun yet"] if waiting.later else []),
    ]
    why = f" Pending: {', '.join(parts)}." if parts else " No task is pending." if not waiting.pending else ""
    more = "" if parts or not waiting.pending else " `tt ready --explain` says why."
    return f"Nothing is ready for {visible(agent)}.{why}{more}"
