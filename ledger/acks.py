"""Acks: waits until what was appended is on as many replicas as the town asks for.

The servers copy; this waits, and says so if it takes too long. It writes one key with a time-out, because a server waits for what
the same connection wrote last, and answers at once on a connection that wrote nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ledger.client_errors import ResponseError, UnfitReplyError, kinds_of
from ledger.errors import NotReplicatedError, StoreUnavailableError
from ledger.exchange import exchange, raise_error
from ledger.redis_errors import redis_errors

if TYPE_CHECKING:
    from redis import Redis

    from ledger.keys import Keys
    from ledger.position import Position

REPLICAS_MAX: Final = 9
ACKS_MS_MAX: Final = 5_000
"""How long a command waits for the replicas."""
_MARK_MS: Final = 1_000


class Acks:
    """Waits for `replicas` copies of what was appended; 0 waits for none."""

    def __init__(self, client: Redis, keys: Keys, *, replicas: int = 0, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self.replicas = replicas
        self._where = where
        self._is_together = False
        self._last: Position | None = None
        self.on_missed: Callable[[NotReplicatedError], None] | None = None
        """Called in place of raising, by a program that goes on."""

    def confirm(self, position: Position | None) -> None:
        """Return once the event at `position`, and all before it, are on disk here and on the replicas. At once if it waits for none.

        Where the server has no append-only file, or not the command that waits for it, the replicas' memory counts. None stands
        for what is there. NotReplicatedError: it is not known that they have it. Source: SET, XRANGE, WAITAOF or WAIT.
        """
        if not self.replicas:
            return
        if self._is_together:
            self._last = position or self._last
            return
        try:
            self._wait(position)
        except NotReplicatedError as error:
            if self.on_missed is None:
                raise
            self.on_missed(error)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is confirmed within is waited for once, at the end. NotReplicatedError, as `confirm`."""
        was_together, self._is_together = self._is_together, True
        try:
            yield
        finally:
            self._is_together = was_together
        self.confirm(self._last)

    def _wait(self, position: Position | None) -> None:
        try:
            found = self._ask_patiently(position)
        except StoreUnavailableError as error:
            raise NotReplicatedError(self._where, position, wanted=self.replicas, problem=error.problem) from error
        is_there, copies = found or (True, 0)
        if not is_there:
            raise NotReplicatedError(self._where, position, wanted=self.replicas, is_lost=True)
        if copies < self.replicas:
            raise NotReplicatedError(self._where, position, wanted=self.replicas, got=copies)

    def _ask_patiently(self, position: Position | None) -> tuple[bool, int] | None:
        """As `_ask`, by what the server can do; once more if the connection was lost, which may have been a failover."""
        for is_again in (False, True):
            try:
                found = self._ask(["WAITAOF", 1, self.replicas, ACKS_MS_MAX // 2], position)
                return found or self._ask(["WAIT", self.replicas, ACKS_MS_MAX // 2], position)
            except StoreUnavailableError as error:
                if is_again or error.has_refused:
                    raise
        raise AssertionError("the second attempt returns or raises")

    def _ask(self, wait: Sequence[str | int], position: Position | None) -> tuple[bool, int] | None:
        """Whether the event is there, and how many replicas have it; None if the server does not wait for append-only files."""
        first, last = ("-", "+") if position is None else (str(position), str(position))
        # One connection, so one server: the event is looked for where the replicas are asked about. A replica that is asked what
        # it has on disk answers for what it had before, and says the rest a second later: so it is asked for its memory first.
        commands = [
            ("SET", self._keys.acks, "", "PX", _MARK_MS),
            ("XRANGE", self._keys.ledger, first, last, "COUNT", 1),
            ("WAIT", self.replicas, ACKS_MS_MAX // 2),
            wait,
        ]
        with redis_errors(self._where):
            mark, found, _, reply = exchange(self._client, commands)
            if wait[0] == "WAITAOF" and isinstance(reply, kinds_of(ResponseError)):
                reply = None
            raise_error([mark, found, reply])
        # A ledger without events lacks none.
        is_there = position is None or bool(found)
        match reply:
            case None:
                return None
            case [int(on_disk), int(copies)]:
                return is_there, copies if on_disk else 0
            case int(copies):
                return is_there, copies
            case _:
                with redis_errors(self._where):
                    raise UnfitReplyError(str(wait[0]))
