"""The JSON shapes of `tt diff`, `tt blame` and `tt why`; docs/reference/json.md shows each. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cli.cause_words import sentences, state_sentence
from cli.diff_lines import count_reassigned, moved_to
from cli.shapes import Shape, event_shape, moment_shape, task_shape
from ledger import Blamed, Position
from projections import BoardDiff, DiffKind, TaskDiff
from town import Why


def diff_shape(found: BoardDiff) -> Shape:
    """Both moments, how many tasks came, went and changed, and each of them as it was and is."""
    return {
        "from": moment_shape(found.since),
        "to": moment_shape(found.until),
        "events": found.events,
        "total": len(found.tasks),
        **{kind: len(found.of(kind)) for kind in DiffKind},
        "passing": found.passing,
        "moved_to": moved_to(found),
        "reassigned": count_reassigned(found),
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


def blame_shape(blamed: Sequence[Blamed]) -> Shape:
    """The fields, each with the position of its event, and the events."""
    events = {each.event.at: each.event for each in blamed}
    events |= {recorded.at: recorded for each in blamed for _, recorded in each.parts}
    return {
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


def why_shape(found: Why) -> Shape:
    """The task, null where it was removed, the events behind its state, oldest first, and those that they name as cause."""
    told = sentences(found.causes)
    return {
        "task_id": found.task_id,
        "task": task_shape(found.task),
        "state": state_sentence(found),
        "total": len(told),
        "causes": [
            {
                "kind": cause.kind,
                "sentence": sentence,
                "state_before": cause.state_before,
                "state_after": cause.state_after,
                "agent_before": cause.agent_before,
                "agent_after": cause.agent_after,
                "event": event_shape(cause.event, cause.flaw),
            }
            for cause, sentence in zip(found.causes, told, strict=True)
        ],
        "led_by": [event_shape(found.led_by[position]) for position in sorted(found.led_by, key=Position)],
    }
