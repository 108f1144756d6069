"""The JSON shapes of diff, blame, why and bisect. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ledger import Blamed, Position, RecordedEvent, Task
from projections import Bisection, BoardDiff, DiffKind, TaskDiff
from shapes import Shape, event_shape, moment_shape, reader_shape, task_shape, understood_shape
from shapes.ready import blocks_shape

if TYPE_CHECKING:
    from projections import BlockedTask
    from shapes.given import When
    from town import Look, Reader, Since, Town, Why


def diff_shape(town: Town, found: BoardDiff, *, a: When, b: When | None) -> Shape:
    """A diff, and how its two moments were understood, as `a` and `b`."""
    return {"town": town.name, **understood_shape(a=a, b=b), **board_diff_shape(found)}


def board_diff_shape(found: BoardDiff) -> Shape:
    """Both moments, how many tasks came, went and changed, and each of them as it was and is."""
    return {
        "from": moment_shape(found.since),
        "to": moment_shape(found.until),
        "events": found.events,
        "total": len(found.tasks),
        **{kind: len(found.of(kind)) for kind in DiffKind},
        "passing": found.passing,
        "moved_to": found.moved_to,
        "reassigned": found.reassigned,
        "tasks": [_task_diff_shape(each) for each in found.tasks],
    }


def _task_diff_shape(each: TaskDiff) -> Shape:
    return {
        "task": each.task_id,
        "kind": each.kind,
        "events": each.events,
        "states": each.states,
        "changes": [change._asdict() for change in each.changes],
        "before": task_shape(each.before),
        "after": task_shape(each.after),
    }


def blame_shape(town: Town, reader: Reader, task: Task, blamed: Sequence[Blamed], *, at: When | None) -> Shape:
    """The task, its fields, each with the position of its event, and the events."""
    events = {each.event.at: each.event for each in blamed}
    events |= {recorded.at: recorded for each in blamed for _, recorded in each.parts}
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "task": task_shape(task),
        "fields": [
            {
                "field": each.field,
                "value": each.value,
                "position": each.event.at,
                "parts": [{"text": text, "position": recorded.at} for text, recorded in each.parts],
            }
            for each in blamed
        ],
        "events": [event_shape(recorded) for recorded in sorted(events.values(), key=lambda each: each.position.seq)],
    }


def why_shape(
    town: Town,
    reader: Reader,
    found: Why,
    blocked: BlockedTask | None,
    since: Mapping[tuple[str, str | None], Since],
    *,
    told: Sequence[str] | None,
    blocks_max: int,
    at: When | None,
) -> Shape:
    """The task, null if it was removed, the events behind its state, oldest first, those that they name as cause, and what blocks it.

    `told` has a sentence for each of these events, if they are told in sentences.
    """
    sentences = [{}] * len(found.causes) if told is None else [{"sentence": each} for each in told]
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "task_id": found.task_id,
        "task": task_shape(found.task),
        "blocked": None if blocked is None else blocks_shape(blocked, since, blocks_max=blocks_max),
        "total": len(found.causes),
        "causes": [
            {
                "kind": cause.kind,
                **sentence,
                "state_before": cause.state_before,
                "state_after": cause.state_after,
                "agent_before": cause.agent_before,
                "agent_after": cause.agent_after,
                "event": event_shape(cause.event, cause.flaw),
            }
            for cause, sentence in zip(found.causes, sentences, strict=True)
        ],
        "led_by": [event_shape(found.led_by[position]) for position in sorted(found.led_by, key=Position)],
    }


def bisection_shape(
    town: Town,
    bisection: Bisection,
    looks: Sequence[tuple[Position, Look]],
    found: tuple[RecordedEvent, Task | None] | None,
) -> Shape:
    """The first bad event with its task, null if it may be any of several candidates, and each run of the program."""
    recorded, task = (None, None) if found is None else found
    candidates = bisection.candidates
    return {
        "town": town.name,
        "event": None if recorded is None else event_shape(recorded),
        "task": task_shape(task),
        "candidates": {"first": candidates[0], "last": candidates[-1], "total": len(candidates)},
        "runs": [
            {**moment_shape(position), "verdict": look.verdict, "status": look.status} for position, look in looks
        ],
    }
