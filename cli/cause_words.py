"""Sentences for the events behind a task's state. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from cli.render import event_details, event_words
from cli.text import ICONS, TEXT_CHARS_SHOWN, event_number, icon_of, short_id, shortened, visible
from ledger import TOWN_ID, Cause, CauseKind, RecordedEvent, Source, State, TaskCreated, TaskStarted
from town import Why, local_time

_RESULTS = {CauseKind.COMPLETED: "Result", CauseKind.FAILED: "Error", CauseKind.CANCELLED: "Reason"}
"""What the one field of the fact is called."""
_WAITING = frozenset({CauseKind.ASKED, CauseKind.ANSWERED})
"""What lets a task wait or go on, and leaves it in its state."""
_SOURCES = {Source.PLAN: " from a plan", Source.IMPORT: " from another tracker"}


def state_sentence(why: Why) -> str:
    """What the task is, since when, and who has it: what the sentences explain."""
    last = [cause for cause in why.causes if cause.kind not in _WAITING][-1]
    time = local_time(last.event.position.time)
    task = why.task
    if task is None:
        return f"It was removed at {time}."
    if task.state.is_terminal:
        holder = "" if task.assigned_to is None else f"; {visible(task.assigned_to)} had it"
        verb = "" if task.state is State.FAILED else "was "
        words = f"{ICONS[task.state]} It {verb}{task.state} at {time}{holder}."
    else:
        holder = "" if task.holder is None else f"; {visible(task.holder)} has it"
        waits = "; it waits for an answer" if task.has_open_question else ""
        words = f"{icon_of(task)} It has been {task.state} since {time}{holder}{waits}."
    if last.kind is CauseKind.DAMAGED:
        return f"It is damaged since {time}, and stays {task.state}{holder}."
    return words


def sentences(causes: Sequence[Cause]) -> list[str]:
    """A sentence for each cause, with its reason. If several events of a command share a reason, the last one says it."""
    return [_sentence(cause, after) for cause, after in zip_longest(causes, causes[1:])]


def led_by_words(recorded: RecordedEvent, *, task_id: str) -> str:
    """The event that led to another one."""
    where = "" if recorded.task in (task_id, TOWN_ID) else f", of task {short_id(recorded.task)}"
    return f"Event {event_number(recorded.position)} led to it{where}: {visible(recorded.actor)} {_shown(event_words(recorded))}"


def _sentence(cause: Cause, after: Cause | None) -> str:
    recorded = cause.event
    if cause.kind in _WAITING:
        return f"{_what(cause)}: {_shown(event_details(recorded))}"
    parts = [f"{_what(cause)}."]
    label = _RESULTS.get(cause.kind)
    if label is not None:
        [text] = (getattr(recorded.data, name) for name in recorded.data.__struct_fields__)
        parts += [] if text is None else [f"{label}: {_shown(text)}"]
    is_said_next = after is not None and (after.event.command, after.event.reason) == (
        recorded.command,
        recorded.reason,
    )
    if recorded.reason is not None and not is_said_next:
        parts.append(f"Reason: {_shown(recorded.reason)}")
    return " ".join(parts)


def _shown(text: str) -> str:
    return shortened(visible(text), TEXT_CHARS_SHOWN)


def _what(cause: Cause) -> str:  # noqa: C901, PLR0911, PLR0912 - a line for each kind
    recorded = cause.event
    actor = visible(recorded.actor)
    agent = visible(cause.agent_after or "")
    held = visible(cause.agent_before or "")
    match cause.kind:
        case CauseKind.CREATED:
            source = recorded.data.source if isinstance(recorded.data, TaskCreated) else None
            return f"{actor} created it{'' if source is None else _SOURCES.get(source, '')}"
        case CauseKind.BROUGHT_BACK:
            return f"{actor} brought it back after it was removed"
        case CauseKind.ADOPTED:
            whose = f", of {agent}" if agent else ""
            return f"{actor} took it over from before the ledger, {cause.state_after}{whose}"
        case CauseKind.GIVEN:
            return f"{actor} gave it to {agent}"
        case CauseKind.TAKEN:
            return f"{agent} took it"
        case CauseKind.HANDED_OVER:
            working = ", who was working on it" if cause.state_before == "running" else ""
            if recorded.actor == cause.agent_after:
                return f"{agent} took it over from {held}{working}"
            return (
                f"{actor} handed it over from {held}{working}, to {agent}"
                if working
                else (f"{actor} handed it over from {held} to {agent}")
            )
        case CauseKind.STARTED:
            run = recorded.data.run if isinstance(recorded.data, TaskStarted) else None
            by = f"{agent} began to work on it" if actor == agent else f"{actor} started it for {agent}"
            return by if run is None else f"{by} ({visible(str(run))})"
        case CauseKind.COMPLETED | CauseKind.FAILED | CauseKind.CANCELLED:
            return f"{actor} {cause.kind} it"
        case CauseKind.LOST:
            return f"The runner of {held} was lost, and {actor} took it back"
        case CauseKind.REQUEUED:
            return f"{actor} put it back into the backlog" + (f"; {held} had it" if held else "")
        case CauseKind.REOPENED:
            return f"{actor} opened it again; it was {cause.state_before}"
        case CauseKind.ASKED | CauseKind.ANSWERED:
            return f"{actor} {cause.kind}"
        case CauseKind.REMOVED:
            return f"{actor} removed it; it was {cause.state_before}"
        case CauseKind.DAMAGED:
            return f"No command can make this event, {visible(recorded.type)} by {actor}: {visible(cause.flaw or '')}"
