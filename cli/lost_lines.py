"""What people read of tasks whose runner is lost. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.text import counted, duration, name_of, visible

if TYPE_CHECKING:
    from town import LostTask, LostTasks

LOST_NAMED_MAX: Final = 3
TAKE_BACK: Final = "tt reclaim --to-backlog, or --to AGENT"


def lost_words(lost: LostTasks) -> str:
    """How many tasks are lost, which, and what to do about it."""
    named = "; ".join(_name(each) for each in lost.tasks[:LOST_NAMED_MAX])
    left_out = len(lost.tasks) - LOST_NAMED_MAX
    more = f"; and {left_out:,} more" if left_out > 0 else ""
    at_least = "at least " if lost.has_more else ""
    return (
        f"{at_least}{counted(len(lost.tasks), 'running task')} without a runner: {named}{more}."
        f" To list: tt reclaim. To take back: {TAKE_BACK}"
    )


def _name(lost: LostTask) -> str:
    """`9b7a4e10 of ada, started 3 m ago`."""
    of = f" of {visible(lost.task.assigned_to)}" if lost.task.assigned_to else ""
    return f"{name_of(lost.task)}{of}, started {duration(lost.age_ms)} ago"
