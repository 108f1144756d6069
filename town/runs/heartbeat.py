"""Heartbeat: a key with a time-out that shows that a run is alive.

Its own thread renews the key. The thread also checks whether the task still belongs to the run, so that a program does
not go on in vain. It uses only the client, because threads may share a client, but not a `Town`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ledger import Keys, LedgerDamagedError, StoreUnavailableError, redis_errors

if TYPE_CHECKING:
    from redis import Redis

HEARTBEAT_MS: Final = 10_000
"""A runner without a heartbeat for this long is lost."""
BEAT_SECONDS: Final = 2.0


class Heartbeat:
    """The heartbeat of the run with the id `run`. `words` is the key's value, for people."""

    def __init__(self, client: Redis, keys: Keys, *, run: str, words: str, where: str = "redis") -> None:
        self._client = client
        self._key = keys.heartbeat(run)
        self._words = words
        self._where = where
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_begun = False
        self.has_lost_task = threading.Event()
        """Set once `is_ours` has returned false."""

    def begin(self) -> None:
        """Set the key for the first time. Repeating it does no harm. StoreUnavailableError."""
        if not self._has_begun:
            self._beat()
            self._has_begun = True

    def keep_up(self, is_ours: Callable[[], bool]) -> None:
        """Beat every BEAT_SECONDS until `stop`. Each time check whether the task still belongs to the run."""
        self._thread = threading.Thread(target=self._keep_up, args=(is_ours,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and delete the key. If the server does not answer, the key expires by itself."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        if not self._has_begun:
            return
        with contextlib.suppress(StoreUnavailableError), redis_errors(self._where):
            self._client.delete(self._key)

    def _beat(self) -> None:
        """Set the key for HEARTBEAT_MS. Source: SET PX."""
        with redis_errors(self._where):
            self._client.set(self._key, self._words, px=HEARTBEAT_MS)

    def _keep_up(self, is_ours: Callable[[], bool]) -> None:
        while not self._end.wait(BEAT_SECONDS):
            # The runner itself handles an unavailable or damaged server, at the end of its run.
            with contextlib.suppress(StoreUnavailableError, LedgerDamagedError):
                self._beat()
                if not self.has_lost_task.is_set() and not is_ours():
                    self.has_lost_task.set()


def is_beating(client: Redis, keys: Keys, run: str, *, where: str = "redis") -> bool:
    """Whether the run has a heartbeat. Source: EXISTS."""
    with redis_errors(where):
        return bool(client.exists(keys.heartbeat(run)))
