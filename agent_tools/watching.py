"""Watching: waits for a town's new events, and tells the clients that subscribed to what they change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import anyio
import anyio.to_thread
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated

from agent_tools.resources import blocked_behind, changed_by, may_block
from ledger import LedgerError, Position
from town import Town

BLOCK_MS: Final = 500
"""How long one call waits for events; so long may the end of the program take."""
RETRY_SECONDS: Final = 1.0
SEND_SECONDS: Final = 5.0
"""A client that does not take a notification for that long is no longer told."""
SUBSCRIPTIONS_MAX: Final = 1_000
"""Of clients of the older protocol, which may go without a word; the oldest makes room."""


class Watch:
    """The new events of one town, from the first subscription on. `open_town` opens the town anew, and starts its server
    if it is told to: the first subscription does, and a server that was stopped meanwhile stays so.
    """

    def __init__(self, open_town: Callable[[bool], Town]) -> None:
        self.bus: Final = InMemorySubscriptionBus()
        self._open_town = open_town
        self._sessions: list[tuple[Any, str]] = []
        self._position: Position | None = None
        self._begun = anyio.Event()
        self._lock = anyio.Lock()

    async def begin(self) -> None:
        """From now on, no event is missed. The first call asks for the end of the ledger. LedgerError."""
        async with self._lock:
            if self._position is None:
                self._position = await anyio.to_thread.run_sync(self._end)
                self._begun.set()

    async def add(self, session: Any, address: str) -> None:  # noqa: ANN401 - the SDK's session, of which few methods matter
        """Tell this session, of the older protocol, of changes at an address."""
        await self.begin()
        self.drop(session, address)
        del self._sessions[: max(len(self._sessions) + 1 - SUBSCRIPTIONS_MAX, 0)]
        self._sessions.append((session, address))

    def drop(self, session: Any, address: str) -> None:  # noqa: ANN401 - as above
        """No longer tell it."""
        # Each request has a session object of its own; what the client said of itself is one object for a connection.
        self._sessions = [
            (each, known)
            for each, known in self._sessions
            if known != address or each.client_params is not session.client_params
        ]

    async def run(self) -> None:
        """Tell of events until the caller cancels."""
        await self._begun.wait()
        while True:
            try:
                town = await anyio.to_thread.run_sync(self._open_town, False)
                try:
                    while True:
                        for address in await anyio.to_thread.run_sync(self._changed, town):
                            await self._tell(address)
                finally:
                    town.close()
            except LedgerError:
                # The server may be starting again. The next attempt goes on behind the last event that was told.
                await anyio.sleep(RETRY_SECONDS)

    def _end(self) -> Position:
        with self._open_town(True) as town:
            return town.end()

    def _changed(self, town: Town) -> list[str]:
        """The addresses that new events changed; none after a while without events."""
        assert self._position is not None
        store = town.backend.store
        if not store.wait(self._position, block_ms=BLOCK_MS):
            return []
        tasks: dict[str, None] = {}
        blocking: set[str] = set()
        position = self._position
        for batch in store.read_batches(position):
            tasks |= {recorded.task: None for recorded in batch}
            blocking |= {recorded.task for recorded in batch if may_block(recorded)}
            position = batch[-1].position
        blocked: set[str] = set()
        # Where views cannot be read, each task is still told of its own events.
        with suppress(LedgerError):
            if blocking:
                town.upkeep.catch_up()
                blocked = blocked_behind(town, blocking) - tasks.keys()
        titles = town.titles((*tasks, *blocked))
        self._position = position
        return list(changed_by(tasks, blocked, titles))

    async def _tell(self, address: str) -> None:
        await self.bus.publish(ResourceUpdated(address))
        for session, known in list(self._sessions):
            if known != address:
                continue
            is_told = False
            with suppress(Exception), anyio.move_on_after(SEND_SECONDS):
                await session.send_resource_updated(address)
                is_told = True
            if not is_told:
                self._sessions = [each for each in self._sessions if each[0] is not session]
