"""What is shown beside events: what is wrong with them, what people wrote on them, and the titles of their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from cli.text import TITLE_CHARS_SHOWN, called, shortened, visible
from ledger import TaskCreated, TaskLinked, TaskMoved, TaskUnlinked

if TYPE_CHECKING:
    from ledger import RecordedEvent
    from town import Annotation, Reader, Title, Town


_TITLE_CHARS = 60


class Beside(Struct, frozen=True):
    """By position, flaws and notes; by id, titles."""

    flaws: Mapping[str, str] = {}
    notes: Mapping[str, Sequence[Annotation]] = {}
    titles: Mapping[str, Title] = {}
    names: Mapping[str, str] = {}
    """What linked tasks and parents are called."""

    @classmethod
    def of(cls, town: Town, events: Sequence[RecordedEvent]) -> Beside:
        """What the town knows of these events."""
        return cls.titled(town, events, flaws=town.find_flaws(events), notes=town.annotations(events))

    @classmethod
    def titled(
        cls,
        reader: Reader,
        events: Sequence[RecordedEvent],
        *,
        flaws: Mapping[str, str] = {},
        notes: Mapping[str, Sequence[Annotation]] = {},
    ) -> Beside:
        """What is known already, and the titles of the tasks."""
        linked = linked_ids(events)
        titles = reader.titles([*(each.task for each in events), *linked])
        return cls(flaws, notes, titles, _names_of(linked, titles))


def linked_ids(events: Iterable[RecordedEvent]) -> list[str]:
    """The ids of the tasks that these events name: those that links lead to, and parents; each once."""
    named = dict.fromkeys(
        each.data.to if isinstance(each.data, TaskLinked | TaskUnlinked) else each.data.parent_id
        for each in events
        if isinstance(each.data, TaskLinked | TaskUnlinked | TaskCreated | TaskMoved)
    )
    return [task_id for task_id in named if task_id is not None]


def names_of(reader: Reader, task_ids: Iterable[str]) -> dict[str, str]:
    """What tasks are called, now or last: by alias, else by the beginning of the id. Without ids nothing is read."""
    ids = list(task_ids)
    return _names_of(ids, reader.titles(ids)) if ids else {}


def names_with_titles(reader: Reader, task_ids: Iterable[str]) -> dict[str, str]:
    """What tasks are called, and in brackets what they are about; those that the ledger knows."""
    return {
        task_id: f"{called(task_id, title.alias)} ({shortened(visible(title.text), _TITLE_CHARS)})"
        for task_id, title in reader.titles(task_ids).items()
    }


def names_of_removed(reader: Reader, task_ids: Iterable[str]) -> dict[str, str]:
    """What removed tasks were called and about, as `name_and_title`; of those that the ledger knows. Without ids nothing is read."""
    ids = list(task_ids)
    return {
        task_id: f"{called(task_id, title.alias)}  {shortened(visible(title.text), TITLE_CHARS_SHOWN)}"
        for task_id, title in (reader.titles(ids) if ids else {}).items()
    }


def _names_of(task_ids: Iterable[str], titles: Mapping[str, Title]) -> dict[str, str]:
    return {each: called(each, titles[each].alias if each in titles else None) for each in task_ids}
