"""How people name a task: by id, by a unique prefix of it, or by alias. Each leads to the one id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ledger import EventStore, Task, TaskAmbiguousError, TaskNotFoundError, task_id_of_alias
from projections import Board, LiveBoard

CANDIDATES_SHOWN_MAX: Final = 5
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_PREFIX: Final = re.compile(r"[0-9a-f-]{1,36}")


class References:
    """Resolves what people call the tasks of one town, as its views are now."""

    def __init__(self, store: EventStore, live: LiveBoard, *, town: str) -> None:
        self._store = store
        self._live = live
        self._town = town

    def resolve(self, reference: str, *, is_removed_too: bool = False) -> str:
        """The id behind an id, a unique prefix or an alias. TaskNotFoundError, TaskAmbiguousError."""
        text = reference.strip()
        lowered = text.lower()
        if _UUID.fullmatch(lowered) and self._store.head(lowered)[0]:
            return lowered
        by_alias = self.id_of_alias(text) if _is_encodable(text) else ""
        if by_alias and self._live.get(by_alias) is not None:
            return by_alias
        if _UUID_PREFIX.fullmatch(lowered):
            found = self._live.find(lowered, limit=CANDIDATES_SHOWN_MAX)
            if not found and is_removed_too:
                found = self._store.find_tasks(lowered, limit=CANDIDATES_SHOWN_MAX)
            if found:
                return _only(reference, found)
        if by_alias and self._store.head(by_alias)[0]:
            return by_alias
        raise TaskNotFoundError(reference)

    def id_of_alias(self, alias: str) -> str:
        """The id that a task with this alias has, or would have."""
        return self.ids_of_aliases([alias])[alias]

    def ids_of_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """As `id_of_alias`, for several at once."""
        adopted = self._live.find_aliases(aliases)
        return {alias: adopted.get(alias) or task_id_of_alias(self._town, alias) for alias in aliases}


def find_on_board(board: Board, reference: str, *, town: str) -> Task:
    """The task of a board from an earlier moment, named as people do. TaskNotFoundError, TaskAmbiguousError."""
    text = reference.strip()
    task = board.get(text.lower())
    if task is None and _is_encodable(text):
        task = board.get(task_id_of_alias(town, text)) or board.find_alias(text)
    if task is None:
        found = board.find(text.lower(), limit=CANDIDATES_SHOWN_MAX)
        if not text or not found:
            raise TaskNotFoundError(reference, then=board.position)
        task = board.tasks[_only(reference, found)]
    return task


def _only(reference: str, found: Sequence[str]) -> str:
    if len(found) > 1:
        raise TaskAmbiguousError(reference, found)
    return found[0]


def _is_encodable(text: str) -> bool:
    """Whether the text can be hashed to an id: what a terminal hands over may hold bytes that are no characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
