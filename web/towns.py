"""Towns: those that are served, each with some open `Town`s, because a `Town` has one user at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from ledger import CircularNeedsError, LedgerError, StoreUnavailableError
from town import Town
from web.flow import KeptFlow
from web.kept_answers import KeptAnswers
from web.timeline_times import Timeline
from web.warm_up import WarmUp

Result = TypeVar("Result")

CALLS_AT_ONCE: Final = 8
"""How many requests are at work at the same time; each has a thread and a connection of its own. Others wait."""
OPEN_PER_ACTOR_MAX: Final = CALLS_AT_ONCE
ACTORS_MAX: Final = 16
"""The open towns of so many actors are kept."""
_NOT_KEPT: Final[deque[Town]] = deque(maxlen=0)


class ServedTown:
    """One town. Every question gets an open `Town` to itself, in a thread."""

    def __init__(self, folder: Path, name: str, *, actor: str | None) -> None:
        self.folder = folder
        self.name = name
        self._actor = actor
        self.timeline = Timeline()
        self.warm_up = WarmUp(self.opened)
        self.flow = KeptFlow()
        self.answers = KeptAnswers()
        self._idle: dict[str | None, deque[Town]] = {}

    @contextmanager
    def opened(self, actor: str | None = None) -> Iterator[Town]:
        """An open town that acts as `actor`; by default as who started the server. One that met an error is closed."""
        idle = self._idle_of(actor)
        try:
            town = idle.pop()
        except IndexError:
            town = Town.open(self.folder, actor=actor or self._actor)
        try:
            yield town
        except BaseException as error:
            if isinstance(error, LedgerError):
                _name_tasks(error, town)
                town.remark_on(error)
            town.close()
            if isinstance(error, StoreUnavailableError):
                # The others have the same server, which may be another one when it is asked again.
                self.close()
            raise
        if idle is not _NOT_KEPT and len(idle) < OPEN_PER_ACTOR_MAX:
            idle.append(town)
        else:
            town.close()

    def close(self) -> None:
        """Close the open towns that nobody uses."""
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while True:
                    idle.pop().close()

    def _idle_of(self, actor: str | None) -> deque[Town]:
        """The open towns of an actor that nobody uses. Of those who come when there are ACTORS_MAX, none is kept."""
        if actor not in self._idle and len(self._idle) >= ACTORS_MAX:
            return _NOT_KEPT
        return self._idle.setdefault(actor, deque())


class Towns:
    """The towns that are served, by name. The first one is `own`, whose paths need no name."""

    def __init__(self, towns: Mapping[str, ServedTown]) -> None:
        self._towns = dict(towns)
        self.own = next(iter(self._towns.values()))
        self._limiter: anyio.CapacityLimiter | None = None

    @property
    def names(self) -> list[str]:
        return list(self._towns)

    def get(self, name: str) -> ServedTown | None:
        return self._towns.get(name)

    async def ask(self, served: ServedTown, question: Callable[[Town], Result], *, actor: str | None = None) -> Result:
        """Put a question to a town in a thread; others are served meanwhile."""

        def ask() -> Result:
            with served.opened(actor) as town:
                return question(town)

        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(CALLS_AT_ONCE)
        return await anyio.to_thread.run_sync(ask, limiter=self._limiter)

    def close(self) -> None:
        for town in self._towns.values():
            town.close()


def _name_tasks(error: LedgerError, town: Town) -> None:
    """Let an error call tasks as `tt` does."""
    if not isinstance(error, CircularNeedsError):
        error.name_tasks(town.backend.called)
