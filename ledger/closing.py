"""Closing: a ledger takes no events for as long as its town moves, and never again where the town has left.

The note says why, and where the town is. It changes only together with the ledger, and only from what it was: so of two
processes that want to change it, one does (`docs/decisions/0050`).
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import Struct

from ledger.client_errors import UnfitReplyError
from ledger.errors import LedgerClosedError, LedgerDamagedError, WrongExpectedEndError
from ledger.keys import Keys
from ledger.lua.close import CloseScript, Done, Door, Noted
from ledger.lua.copy import Elsewhere
from ledger.position import Position
from ledger.redis_errors import redis_errors

if TYPE_CHECKING:
    from redis import Redis

CLOSED_SECONDS_MAX: Final = 10
"""How long writers wait while a town moves. If whoever moves it needs longer, or is dead, the next writer opens the ledger again."""
_POLL_SECONDS: Final = 0.05


class MoveState(StrEnum):
    """What a note on a move says of the ledger beside it."""

    MOVING = "moving"
    """It is closed: the last events are being copied."""
    MOVED = "moved"
    """It is sealed: the town is elsewhere."""
    ARRIVING = "arriving"
    """It is closed: a copy that is not the town yet."""


class MoveNote(Struct, frozen=True):
    """A note on a move. `place` is where the town goes, or comes from, in words; a URL is without its password.

    `move` tells the moves of a town apart. `until_ms` is when writers may open a ledger that is closed, by the server's clock.
    """

    state: MoveState
    place: str
    move: str
    until_ms: int = 0


class Closing:
    """Closes and opens one town's ledger. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._script = CloseScript(client)

    def note(self) -> MoveNote | None:
        """The note; None if the ledger is the town's. Source: GET."""
        with redis_errors(self._where, key=self._keys.move):
            return read_note(cast("bytes | None", self._client.get(self._keys.move)))

    def now_ms(self) -> int:
        """The server's clock."""
        with redis_errors(self._where):
            seconds, microseconds = cast("tuple[int, int]", self._client.time())
        return seconds * 1_000 + microseconds // 1_000

    def change(
        self, before: MoveNote | None, after: MoveNote | None, door: Door, *, end: Position | None = None
    ) -> Position:
        """Put `after` in place of `before`, and close, seal or open the ledger with it; returns where the ledger ends.

        LedgerClosedError if there is another note, WrongExpectedEndError if it does not end at `end`, LedgerDamagedError: nothing was
        written. StoreUnavailableError: look at the note. Source: close.lua.
        """
        with redis_errors(self._where):
            reply = self._script(
                ledger_key=self._keys.ledger,
                note_key=self._keys.move,
                before=_encode(before),
                after=_encode(after),
                door=door,
                end=end,
            )
        match reply:
            case Done(position):
                return Position(position)
            case Noted(note):
                raise closed_error(self._where, read_note(note))
            case Elsewhere(position):
                raise WrongExpectedEndError(end or Position("0-0"), Position(position))
            case damaged:
                raise LedgerDamagedError(
                    f"The stream {self._keys.ledger} holds {damaged.entries} entries and was at {damaged.last_position}: its last"
                    " events are lost. Restore the data folder from a backup."
                )

    def wait_until_open(self) -> None:
        """Return once the ledger is open. A move that takes too long is given up for that.

        LedgerClosedError if the town has moved, or is not there yet.
        """
        deadline = time.monotonic() + 2 * CLOSED_SECONDS_MAX
        while (note := self.note()) is not None:
            if note.state is not MoveState.MOVING or time.monotonic() > deadline:
                raise closed_error(self._where, note)
            if self.now_ms() > note.until_ms:
                self._open_again(note)
            else:
                time.sleep(_POLL_SECONDS)

    def _open_again(self, note: MoveNote) -> None:
        try:
            self.change(note, None, Door.OPEN)
        except LedgerClosedError:
            # Somebody else was first, or the move has ended.
            return


def read_note(raw: bytes | None) -> MoveNote | None:
    """The note in the value of its key. UnfitReplyError if it is none: something else wrote it."""
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw, type=MoveNote)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnfitReplyError("GET") from error


def closed_error(where: str, note: MoveNote | None) -> LedgerClosedError:
    """The error for a ledger with that note; None if the note went away meanwhile."""
    if note is None:
        return LedgerClosedError(where, "opened the ledger again", "Nothing was changed: try again.")
    match note.state:
        case MoveState.MOVED:
            return LedgerClosedError(
                where, f"no longer has the town: it is at {note.place}", "Nothing was written.", moved_to=note.place
            )
        case MoveState.MOVING:
            problem, advice = f"holds the ledger closed: the town moves to {note.place}", "Try again in a moment."
        case MoveState.ARRIVING:
            problem = f"has a copy of the town that is not whole: a move from {note.place} has not ended"
            advice = "The town is still there. The same move, given again, goes on with it."
    return LedgerClosedError(where, problem, f"Nothing was written. {advice}")


def _encode(note: MoveNote | None) -> bytes:
    return b"" if note is None else msgspec.json.encode(note)
