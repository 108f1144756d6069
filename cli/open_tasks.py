"""The open tasks of each agent, and the backlog: a page of each, and how many more there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cli.limits import AGENTS_TASKS_TIMES
from cli.output import say, say_table, warn
from cli.render import task_rows, without_column
from cli.text import counted, visible
from ledger import State, Task
from projections import TaskFilter

if TYPE_CHECKING:
    from town import Reader

LEFT_OUT_NAMED_MAX: Final = 3
_AT_WORK: Final = (State.RUNNING, State.ASSIGNED)


class OpenGroup(Struct, frozen=True):
    """A page of an agent's open tasks, and how many it has. Without an agent: the backlog, or adopted tasks."""

    agent: str | None
    tasks: Sequence[Task]
    total: int
    is_backlog: bool = False
    running: int = 0
    """How many of them are running."""

    @property
    def more(self) -> int:
        """How many are not on the page."""
        return max(self.total - len(self.tasks), 0)


def open_groups(reader: Reader, *, agent: str | None, limit: int | None) -> list[OpenGroup]:
    """The groups, agents sorted by name, adopted tasks without an agent first, the backlog last. `agent` selects one agent.

    `limit` is the number of tasks of each group; in total, it is `AGENTS_TASKS_TIMES` as many. None means all.
    """
    left = None if limit is None else limit * AGENTS_TASKS_TIMES
    if agent is not None:
        # The page of one agent is as long as the page of all.
        page = [reader.page(_filter(state, agent.strip()), limit=left) for state in _AT_WORK]
        tasks = [task for each in page for task in each.tasks][:left]
        total = sum(each.known_total for each in page)
        return [OpenGroup(agent.strip(), tasks, total, running=page[0].known_total)] if total else []
    counts = {name: {state: of[state] for state in _AT_WORK} for name, of in reader.count_agents().items()}
    in_states = reader.count_states()
    groups: list[OpenGroup] = []
    for name, of in [(None, _of_nobody(counts.values(), in_states)), *counts.items()]:
        tasks = []
        for state, number in of.items():
            room = None if limit is None or left is None else min(limit, left) - len(tasks)
            if number and room != 0:
                tasks += reader.page(_filter(state, name), limit=room).tasks
        left = None if left is None else left - len(tasks)
        if any(of.values()):
            groups.append(OpenGroup(name, tasks, sum(of.values()), running=of[State.RUNNING]))
    backlog = reader.backlog(limit=None if limit is None or left is None else min(limit, left))
    if backlog.total:
        groups.append(OpenGroup(None, backlog.tasks, backlog.total, is_backlog=True))
    return groups


def say_groups(groups: Sequence[OpenGroup], *, reader: Reader) -> None:
    """Print a table for each group that the reader found, how many tasks are left out, and how to see them."""
    at = "" if reader.then is None else f" --at {reader.then.seq}"
    shown = [group for group in groups if group.tasks]
    for number, group in enumerate(shown):
        if number:
            say()
        say(f"{_name(group)}: {counted(group.total, 'task')}")
        columns, rows = task_rows(group.tasks, now_ms=reader.time_ms())
        say_table(*without_column(columns, rows, "AGENT"), flexible="TITLE")
        if group.more:
            say(f"… {group.more:,} more: {_advice(group, is_alone=len(groups) == 1)}{at}")
    left_out = [group for group in groups if not group.tasks]
    if left_out:
        total = sum(group.total for group in left_out)
        names = ", ".join(_name(group) for group in left_out[:LEFT_OUT_NAMED_MAX])
        others = f" and {len(left_out) - LEFT_OUT_NAMED_MAX:,} others" if len(left_out) > LEFT_OUT_NAMED_MAX else ""
        hint = f"All: tt tasks --all{at}, one agent's: --agent NAME"
        warn(f"{counted(total, 'task')} of {names}{others} not shown. {hint}")


def warn_of_more(groups: Sequence[OpenGroup]) -> None:
    """Say how many tasks are left out, where the answer has no room for it."""
    left_out = sum(group.more for group in groups)
    if left_out:
        total = sum(group.total for group in groups)
        warn(f"{total - left_out:,} of {counted(total, 'task')} shown. All: --all")


def _name(group: OpenGroup) -> str:
    return "Backlog" if group.is_backlog else "Nobody" if group.agent is None else visible(group.agent)


def _advice(group: OpenGroup, *, is_alone: bool) -> str:
    if group.is_backlog:
        return "tt backlog list"
    if group.agent is None or is_alone:
        return (
            "tt tasks --all" if group.agent is None else f"tt tasks --agent {visible(shlex.quote(group.agent))} --all"
        )
    return f"tt tasks --agent {visible(shlex.quote(group.agent))}"


def _filter(state: State, agent: str | None) -> TaskFilter:
    return TaskFilter(state=state, agent=agent, has_no_agent=agent is None, is_newest_first=True)


def _of_nobody(counts: Iterable[Mapping[State, int]], in_states: Mapping[State, int]) -> dict[State, int]:
    """How many tasks of each state have no agent. Only adopted tasks can be like that."""
    of_agents = list(counts)
    return {state: in_states[state] - sum(of[state] for of in of_agents) for state in _AT_WORK}
