"""The past of a town, folded from its events alone, and what a wish would have led to then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final, Protocol

from ledger import (
    TOWN_ID,
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CommandRejectedError,
    CompleteTask,
    DescribeTask,
    Event,
    FailTask,
    MoveTask,
    NoteTask,
    RecordedEvent,
    ReopenTask,
    RequeueTask,
    StartTask,
    TagTask,
    Task,
    TaskNotFoundError,
    decide,
    evolve,
)

_COMMANDS: Final[dict[str, type[Command]]] = {
    "start": StartTask,
    "complete": CompleteTask,
    "fail": FailTask,
    "cancel": CancelTask,
    "requeue": RequeueTask,
    "reopen": ReopenTask,
    "describe": DescribeTask,
    "note": NoteTask,
    "assign": AssignTask,
    "claim": ClaimTask,
}
VERBS: Final = frozenset({*_COMMANDS, "move", "tag"})
"""The verbs whose decisions can be made again."""


class Wish(Protocol):
    """A call of one of VERBS on one task."""

    @property
    def verb(self) -> str: ...

    @property
    def task(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]: ...


class Past:
    """Every task at every sequence number. What is of the town itself changes no task."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        self._seqs: dict[str, list[int]] = {}
        self._states: dict[str, list[Task | None]] = {}
        for event in events:
            if event.task == TOWN_ID:
                continue
            states = self._states.setdefault(event.task, [None])
            states.append(evolve(copy(states[-1]), event))
            self._seqs.setdefault(event.task, []).append(event.position.seq)

    def task(self, task: str, seq: int) -> Task | None:
        if task not in self._states:
            return None
        return self._states[task][bisect_right(self._seqs[task], seq)]

    def tasks(self, seq: int) -> dict[str, Task]:
        """All tasks at `seq`, by id."""
        found = {task: self.task(task, seq) for task in self._states}
        return {task: state for task, state in found.items() if state is not None}

    def spans(self, task: str) -> Iterator[tuple[range, Task | None]]:
        """The states of a task, each with the sequence numbers at which it had that state; the last has no end."""
        seqs = self._seqs.get(task, [])
        for first, last, state in zip([0, *seqs], [*seqs, 1 << 62], self._states.get(task, [None]), strict=True):
            yield range(first, last), state

    def version(self, task: str, seq: int) -> int:
        state = self.task(task, seq)
        return 0 if state is None else state.version

    def lineage(self, task: str | None, seq: int) -> tuple[str, ...]:
        """The ids from `task` up to its root."""
        found: list[str] = []
        while task is not None:
            assert task not in found, f"a circle at {seq}"
            found.append(task)
            state = self.task(task, seq)
            task = None if state is None else state.parent_id
        return tuple(found)

    def command(self, wish: Wish, seq: int) -> Command:
        """The wish as a caller at `seq` would make it."""
        given: dict[str, Any] = {name: value for name, value in wish.options.items() if name != "is_forced"}
        if wish.verb == "move":
            lineage = self.lineage(given["parent"], seq)
            return MoveTask(task_id=wish.task, parent_id=given["parent"], lineage=lineage[1:])
        if wish.verb == "tag":
            return TagTask(task_id=wish.task, added=tuple(given["add"]), removed=tuple(given["remove"]))
        return _COMMANDS[wish.verb](task_id=wish.task, **given)

    def decide(self, wish: Wish, seq: int) -> list[Event] | type[CommandRejectedError]:
        """What the wish would have led to at `seq`: events, or the class of the refusal."""
        if wish.verb == "move" and wish.options["parent"] and self.task(wish.options["parent"], seq) is None:
            return TaskNotFoundError
        try:
            return decide(self.task(wish.task, seq), self.command(wish, seq))
        except CommandRejectedError as refusal:
            return type(refusal)
