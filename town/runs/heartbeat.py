"""Heartbeat: a key with a time-out that says a run is being worked on, renewed by a thread of its own.

The thread also looks whether the task still is the run's, so that a program does not go on for nothing. It uses the
client alone, which threads may share; a `Town` they may not.
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
"""A runner that shows no sign of life for so long is lost."""
BEAT_SECONDS: Final = 2.0


class Heartbeat:
    """The heartbeat of the run with the id `run`. `words` is what the key says, for people."""

    def __init__(self, client: Redis, keys: Keys, *, run: str, words: str, where: str = "redis") -> None:
        self._client = client
        self._key = keys.heartbeat(run)
        self._words = words
        self._where = where
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_begun = False
        self.has_lost_task = threading.Event()
        """Set once `is_ours` was false."""

    def begin(self) -> None:
        """Say for the first time that the run is worked on; again is no matter. StoreUnavailableError."""
        if not self._has_begun:
            self._beat()
            self._has_begun = True

    def keep_up(self, is_ours: Callable[[], bool]) -> None:
        """Beat every BEAT_SECONDS until `stop`; each time ask whether the task still is the run's."""
        self._thread = threading.Thread(target=self._keep_up, args=(is_ours,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and let the key go at once. Where the server does not answer, it goes by itself."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        if not self._has_begun:
            return
        with contextlib.suppress(StoreUnavailableError), redis_errors(self._where):
            self._client.delete(self._key)

    def _beat(self) -> None:
        """Say that the run is worked on, for HEARTBEAT_MS. Source: SET PX."""
        with redis_errors(self._where):
            self._client.set(self._key, self._words, px=HEARTBEAT_MS)

    def _keep_up(self, is_ours: Callable[[], bool]) -> None:
        while not self._end.wait(BEAT_SECONDS):
            # A server that is away or damaged is for the runner to meet, at the end of its run.
            with contextlib.suppress(StoreUnavailableError, LedgerDamagedError):
                self._beat()
                if not self.has_lost_task.is_set() and not is_ours():
                    self.has_lost_task.set()


def is_beating(client: Redis, keys: Keys, run: str, *, where: str = "redis") -> bool:
    """Whether the run has a heartbeat. Source: EXISTS."""
    with redis_errors(where):
        return bool(client.exists(keys.heartbeat(run)))
