"""The JSON shapes of agents at work: runs, lost tasks, and tasks waited for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ledger import Task, format_ms
from shapes import Shape, reader_shape, task_shape

if TYPE_CHECKING:
    from shapes.given import Primed, When
    from town import LostTask, MovedTask, Reader, RunOutput, RunReport, Town


def run_shape(report: RunReport) -> Shape:
    """A run that began or ended: a line of `tt work --json`."""
    shape: Shape = {name: getattr(report, name) for name in report.__struct_fields__}
    return shape | {"task": task_shape(report.task), "seconds": round(report.seconds, 3)}


def output_shape(output: RunOutput) -> Shape:
    """The end of what a run printed, when it last did, and the bytes of the whole log."""
    return {
        "run": output.run,
        "time": format_ms(output.changed_ms),
        "bytes": output.size,
        "is_whole": output.is_whole,
        "text": output.text,
    }


def reclaim_shape(town: Town, found: Sequence[tuple[LostTask, Task | None]], *, is_moving: bool) -> Shape:
    """The lost tasks, each with what it is now; None if it was changed in the meantime and therefore not moved."""
    return {"town": town.name, "tasks": [moved_shape(lost, now, is_moving=is_moving) for lost, now in found]}


def watched_shape(moved: MovedTask) -> Shape:
    """A task that `tt reclaim --watch` found lost or moved: a line of it."""
    return {"town": moved.town} | moved_shape(moved.lost, moved.now, is_moving=moved.is_moving)


def waited_shape(town: Town, tasks: Mapping[str, Task | None], *, timed_out: bool) -> Shape:
    """The tasks waited for, by id; null for one that is removed."""
    shapes = [{"id": task_id, "task": task_shape(task)} for task_id, task in tasks.items()]
    return {"town": town.name, "timed_out": timed_out, "tasks": shapes}


def moved_shape(lost: LostTask, now: Task | None, *, is_moving: bool) -> Shape:
    """A lost task, with what it is now, and whether it was moved."""
    return lost_task_shape(lost, now) | {"is_moved": is_moving and now is not None}


def lost_task_shape(lost: LostTask, now: Task | None = None) -> Shape:
    """A task whose runner is lost: who had it, and the runner. It is shown as it is `now`, or as it was found."""
    return {
        "task": task_shape(lost.task if now is None else now),
        "agent": lost.task.assigned_to,
        "runner": {"host": lost.mark.host, "process": lost.mark.process, "run": lost.mark.id},
        "age_ms": lost.age_ms,
    }


def prime_shape(reader: Reader, primed: Primed, *, at: When | None) -> Shape:
    """What an agent begins with, or began with at a moment; `tasks` are its own, those that run first."""
    return {
        "town": primed.town,
        **reader_shape(reader, at),
        "agent": primed.agent,
        "tasks": {
            "total": primed.own_total,
            "tasks": [task_shape(task) for task in primed.own],
            "not_ready": [task.id for task in primed.own if task.id in primed.waiting],
        },
        "questions": {
            "total": primed.questions_total,
            "tasks": [{"asked_by": primed.askers.get(task.id), "task": task_shape(task)} for task in primed.questions],
        },
        "ready": {"has_more": primed.has_more_ready, "tasks": [task_shape(task) for task in primed.ready]},
    }
