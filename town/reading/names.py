"""Names: who and what a town knows: agents, actors and tags. It helps with names that are spelled wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from projections import ACTOR_EVENTS_MAX, TaskFilter
from town.backend import Backend
from town.reading.reader import Reader
from town.reading.references import given_names

TAGGED_TASKS_MAX: Final = 1_000
"""Tags are those of so many of the newest tasks: no view lists all tags."""
NAMES_COMPARED_MAX: Final = 2_000
CLOSE_NAMES_MAX: Final = 3
_CLOSENESS_MIN: Final = 0.65


class NewName(Struct, frozen=True):
    """A name that the town has not seen, and those that it knows and that are spelled alike."""

    kind: str
    """agent, actor or tag"""
    name: str
    close: tuple[str, ...]
    has_others: bool
    """Whether the town has other names of this kind."""


class Names:
    """The names of one town, now or at the moment of `reader`."""

    def __init__(self, backend: Backend, reader: Reader) -> None:
        self._backend = backend
        self._reader = reader

    def agents(self) -> list[str]:
        """All agents that have or had tasks, sorted."""
        return list(self._reader.count_agents())

    def actors(self) -> list[str]:
        """Who caused the last events, sorted."""
        events = self._backend.store.read_back(limit=ACTOR_EVENTS_MAX)
        return sorted({recorded.actor for recorded in events})

    def tags(self) -> list[str]:
        """The tags of the newest tasks, sorted."""
        newest = self._reader.page(TaskFilter(is_newest_first=True), limit=TAGGED_TASKS_MAX).tasks
        return sorted({tag for task in newest for tag in task.tags})

    def newcomers(self) -> list[NewName]:
        """The agents and the actor that commands have named and that were new to the town. The actor only if others are spelled alike."""
        loader = self._backend.loader
        new_agents, is_actor_new = list(dict.fromkeys(loader.new_agents)), loader.is_actor_new
        if not (new_agents or is_actor_new):
            return []
        agents = self.agents()
        found = [_new_name("agent", agent, (each for each in agents if each not in new_agents)) for agent in new_agents]
        actor = self._backend.actor
        if is_actor_new and actor not in agents:
            new = _new_name("actor", actor, {*agents, *self.actors()} - {actor, *new_agents})
            found += [new] if new.close else []
        return found

    def unknown(self, *, agent: str | None = None, actor: str | None = None, tags: Sequence[str] = ()) -> list[NewName]:
        """Those of the names, from filters that found nothing, that the town does not know. Some calls for each kind."""
        found: list[NewName] = []
        for kind, names, read in (
            ("agent", given_names(agent), self.agents),
            ("actor", given_names(actor), lambda: {*self.actors(), *self.agents()}),
            ("tag", given_names(*tags), self.tags),
        ):
            known = set(read()) if names else set()
            found += [_new_name(kind, name, known) for name in names if name not in known]
        return found


def close_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """At most CLOSE_NAMES_MAX of the known names that are spelled like `name`, the closest first. Pure.

    Names whose digits differ are not close: worker-1 and worker-2 are two agents, but worker1 may be meant to be worker-1.
    """
    import difflib  # noqa: PLC0415 - only a new name pays for it

    plain, digits = _plain(name), _digits(name)
    candidates = [each for _, each in zip(range(NAMES_COMPARED_MAX), sorted(known), strict=False)]
    by_plain: dict[str, list[str]] = {}
    for each in candidates:
        if each != name and _digits(each) == digits:
            by_plain.setdefault(_plain(each), []).append(each)
    close = difflib.get_close_matches(plain, by_plain, n=CLOSE_NAMES_MAX, cutoff=_CLOSENESS_MIN)
    return tuple(each for word in close for each in by_plain[word])[:CLOSE_NAMES_MAX]


def _new_name(kind: str, name: str, known: Iterable[str]) -> NewName:
    others = [each for each in known if each != name]
    return NewName(kind, name, close_names(name, others), bool(others))


def _plain(name: str) -> str:
    """Letters and digits alone, in lower case; the name itself if it has none."""
    return "".join(char for char in name.lower() if char.isalnum()) or name


def _digits(name: str) -> str:
    return "".join(char for char in name if char.isdigit()).lstrip("0")
