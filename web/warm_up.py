"""WarmUp: the boards of a large town's past are made and kept once somebody asks for its timeline, before a moment is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from ledger import LedgerError
from town import Town


class WarmUp:
    """One look at a town's end through the ledger, in a thread of its own; `opened` gives it an open town."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Town]]) -> None:
        self._opened = opened
        self._has_begun = threading.Event()

    def begin(self) -> None:
        """Begin, unless it has begun. Nobody waits for it."""
        if not self._has_begun.is_set():
            self._has_begun.set()
            threading.Thread(target=self._look, name="warm-up", daemon=True).start()

    def _look(self) -> None:
        """A fold of the town passes the boards that are kept. What is wrong with the town, who asks is told."""
        with suppress(LedgerError), self._opened() as town:
            town.at(town.end()).count_states()
