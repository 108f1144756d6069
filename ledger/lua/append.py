"""`append.lua`, typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.client_errors import UnfitReplyError
from ledger.exchange import Arguments, begin_script
from ledger.lua.source import script_source
from ledger.reply_shapes import is_id

if TYPE_CHECKING:
    from redis import Redis

    from ledger.event_store import Basis


class Appended(Struct, frozen=True):
    """The events are in the ledger, at `ms`, numbered from `first_seq`."""

    ms: int
    first_seq: int
    chosen: str | None = None
    """The task whose events they are, if they were one of several choices."""


class Conflict(Struct, frozen=True):
    """A guard failed; nothing was written."""

    task_id: str
    expected: int
    actual: int


class Disturbed(Struct, frozen=True):
    """The event at this position disturbs the basis, or is the basis and is gone; nothing was written."""

    position: str


class Backdated(Struct, frozen=True):
    """The time to record is before the last event; nothing was written."""

    last_position: str


class Damaged(Struct, frozen=True):
    """The stream or a head is not as this script left it; nothing was written."""

    last_position: str
    entries: int


class Closed(Struct, frozen=True):
    """The town moves, or has moved; nothing was written."""


class Forgotten(Struct, frozen=True):
    """The event that the caller was told of is not there; nothing was written."""

    last_position: str


AppendReply = Appended | Conflict | Disturbed | Backdated | Damaged | Closed | Forgotten


class AppendScript:
    """Appends events, all or none."""

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._script = client.register_script(script_source(__file__))

    def begin(
        self,
        *,
        ledger_key: str,
        heads_key: str,
        guards: Mapping[str, int],
        events: Iterable[tuple[str, bytes]],
        backdate_ms: int | None = None,
        basis: Basis | None = None,
        takes_first: bool = False,
        known: str = "",
    ) -> Callable[[], AppendReply]:
        """Send the script. Call the returned function to read the reply; it also raises what went wrong while sending.

        `guards` is task id -> expected version, `events` are pairs of task id and JSON. Each event's task has a guard.
        With `takes_first`, only the events of the first task whose guard holds are appended. `known` is the last position that
        the caller was told of; it must be there.
        """
        arguments: Arguments = [
            "" if backdate_ms is None else backdate_ms,
            "" if basis is None else basis.position,
            "" if basis is None else _listed(each.type for each in basis.disturbed_by),
            "" if basis is None else _listed(basis.parents),
            "first" if takes_first else "all",
            known,
            len(guards),
        ]
        for guard in guards.items():
            arguments.extend(guard)
        for event in events:
            arguments.extend(event)
        finish = begin_script(self._pool, self._script, [ledger_key, heads_key], arguments)
        return lambda: _understand(finish())


def _listed(words: Iterable[str]) -> str:
    """The words with a blank before and after each."""
    found = " ".join(sorted(words))
    return f" {found} " if found else ""


def _understand(reply: object) -> AppendReply:
    match reply:
        case [b"appended", bytes(ms), bytes(first_seq)] if is_id(b"%s-%s" % (ms, first_seq)):
            return Appended(int(ms), int(first_seq))
        case [b"appended", bytes(ms), bytes(first_seq), bytes(task)] if is_id(b"%s-%s" % (ms, first_seq)):
            return Appended(int(ms), int(first_seq), task.decode(errors="replace"))
        case [b"disturbed", bytes(position)] if is_id(position):
            return Disturbed(position.decode())
        case [b"conflict", bytes(task), int(expected), int(actual)]:
            return Conflict(task.decode(errors="replace"), expected, actual)
        case [b"backdated", bytes(last_position)] if is_id(last_position):
            return Backdated(last_position.decode())
        case _:
            return _understand_other(reply)


def _understand_other(reply: object) -> Damaged | Closed | Forgotten:
    match reply:
        case [b"forgotten", bytes(last_position)] if is_id(last_position):
            return Forgotten(last_position.decode())
        case [b"damaged", bytes(place), int(entries)]:
            return Damaged(place.decode(errors="replace"), entries)
        case [b"closed"]:
            return Closed()
        case _:
            raise UnfitReplyError("EVALSHA")
