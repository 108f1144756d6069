"""How users name a task: by id, by a unique prefix of it, or by alias. Each resolves to one id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ledger import TaskAmbiguousError, TaskNotFoundError, task_id_of_alias, title_of
from projections import PREFIX_IDS_MAX, Wanted

if TYPE_CHECKING:
    from town.reading.past import Past
    from town.reading.present import Present

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_PREFIX: Final = re.compile(r"[0-9a-f-]{1,36}")
COUNTED_IDS_MAX: Final = 1_000
"""At most so many ids with one prefix are counted."""
TITLE_CHARS_MAX: Final = 60
"""How much of a description an error quotes."""


class References:
    """Resolves references to tasks of the town of this name, on its present or a past board."""

    def __init__(self, board: Present | Past, *, town: str) -> None:
        self._board = board
        self._town = town

    def resolve(self, reference: str, *, is_removed_too: bool = False) -> str:
        """The id behind an id, a unique prefix or an alias. TaskNotFoundError, TaskAmbiguousError."""
        task_id = self._find(reference, is_removed_too=is_removed_too)
        text = reference.strip()
        if not task_id.startswith(text.lower()):
            self._board.called[task_id] = text
        return task_id

    def _find(self, reference: str, *, is_removed_too: bool) -> str:
        board = self._board
        text = reference.strip()
        lowered = text.lower()
        if _UUID.fullmatch(lowered) and board.knows(lowered):
            return lowered
        by_alias = self.id_of_alias(text) if _is_encodable(text) else ""
        if by_alias and board.has(by_alias):
            return by_alias
        if _UUID_PREFIX.fullmatch(lowered):
            found = board.find(lowered, limit=PREFIX_IDS_MAX, is_removed_too=is_removed_too)
            if len(found) > 1:
                raise self._ambiguous(reference, lowered, is_removed_too=is_removed_too)
            if found:
                return found[0]
        if by_alias and board.knows(by_alias):
            return by_alias
        adopted = board.find_removed_alias(text)
        if adopted is None:
            raise TaskNotFoundError(reference, then=board.then)
        return adopted

    def _ambiguous(self, reference: str, prefix: str, *, is_removed_too: bool) -> TaskAmbiguousError:
        """The error for a prefix of several ids, which are counted and named only now."""
        found = self._board.find(prefix, limit=COUNTED_IDS_MAX, is_removed_too=is_removed_too)
        shown = found[:PREFIX_IDS_MAX]
        titles = {task_id: _title(text) for task_id, text in self._board.titles(shown).items()}
        return TaskAmbiguousError(
            reference, shown, total=len(found), is_counted=len(found) < COUNTED_IDS_MAX, titles=titles
        )

    def id_of_alias(self, alias: str) -> str:
        """The id that a task with this alias has, or would have."""
        return self.ids_of_aliases([alias])[alias]

    def ids_of_aliases(self, aliases: Sequence[str]) -> dict[str, str]:
        """As `id_of_alias`, for several at once."""
        adopted = self._board.find_aliases(aliases)
        return {alias: adopted.get(alias) or task_id_of_alias(self._town, alias) for alias in aliases}


def wanted_of(references: Iterable[str], *, town: str, task_ids: Iterable[str] = ()) -> Wanted:
    """What has to be read to resolve `references`, besides `task_ids`. Pure."""
    ids, aliases, prefixes = list(task_ids), list[str](), list[str]()
    for reference in references:
        text = reference.strip()
        lowered = text.lower()
        if _UUID.fullmatch(lowered):
            ids.append(lowered)
            continue
        if not _is_encodable(text):
            continue
        ids.append(task_id_of_alias(town, text))
        aliases.append(text)
        if _UUID_PREFIX.fullmatch(lowered):
            prefixes.append(lowered)
    return Wanted(ids, aliases, prefixes)


def given_names(*names: str | None) -> list[str]:
    """Those of the names, trimmed, that somebody may have. Pure."""
    trimmed = [name.strip() for name in names if name is not None]
    return [name for name in trimmed if name and _is_encodable(name)]


def _title(description: str) -> str:
    line = title_of(description)
    return line if len(line) <= TITLE_CHARS_MAX else f"{line[:TITLE_CHARS_MAX]}…"


def _is_encodable(text: str) -> bool:
    """Whether the text can be hashed to an id: text from a terminal may hold bytes that are not characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
