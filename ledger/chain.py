"""Chain: how stored events hang together. Every event is the next of its ledger and the next of its task. Pure.

It reads the envelope alone, and so it serves events of every type. What they mean is judged by `soundness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ledger.errors import EventDecodingError, LedgerDamagedError, SequenceGapError
from ledger.position import BEGINNING, Position, order_of
from ledger.recorded_event import FIELD, Entry
from ledger.times import TIME_MS_MAX


class _Link(Struct, frozen=True, gc=False):
    """Where an event belongs."""

    task: str
    version: int
    prev: str | None = None


_NOT_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decoder: Final = msgspec.json.Decoder(_Link)


class Chain:
    """Follows a ledger's entries from its first one, and knows the head of every task there was.

    `heads` is task id -> `<version>:<position>` of its last event, as the ledger's hash has it.
    """

    def __init__(self) -> None:
        self.position: Position = BEGINNING
        self.heads: dict[str, str] = {}

    def follow(self, entries: Sequence[Entry]) -> dict[str, tuple[str, str]]:
        """Take in the entries that come next; returns each of their tasks with its head before ('' = none) and after them.

        LedgerDamagedError names the first entry that does not follow what came before it, or that is not as the append
        script writes it; those before it were taken in.
        """
        heads = self.heads
        moved: dict[str, tuple[str, str]] = {}
        last_ms, last_seq = order_of(self.position)
        for position_bytes, fields in entries:
            at = position_bytes.decode("ascii")
            ms, seq = order_of(at)
            link = _read(at, fields)
            if seq != last_seq + 1:
                raise SequenceGapError("sequence number", at, expected=last_seq + 1, found=seq)
            if not last_ms <= ms <= TIME_MS_MAX:
                raise LedgerDamagedError(
                    f"The event at {at} lies {'before the one before it' if ms < last_ms else 'after the year 9999'}."
                )
            task_id = link.task
            before = heads.get(task_id, "")
            named = f"{link.version - 1}:{link.prev}" if link.prev is not None else "" if link.version == 1 else None
            if named != before:
                raise _break(at, link, before)
            after = heads[task_id] = f"{link.version}:{at}"
            moved[task_id] = (moved[task_id][0] if task_id in moved else before, after)
            last_ms, last_seq = ms, seq
            self.position = Position(at)
        return moved


def _read(at: str, fields: list[bytes]) -> _Link:
    """The envelope of an entry that is as the append script writes it: one line, and `prev` in front."""
    if len(fields) != 2 or fields[0] != FIELD:
        raise EventDecodingError(at, "is not an event: it must have the one field `event`")
    payload = fields[1]
    try:
        link = _decoder.decode(payload)
    except _NOT_JSON as error:
        raise EventDecodingError(at, "is not an event: it must name its task and version") from error
    begin = b'{"prev":null,' if link.prev is None else b'{"prev":"%s",' % link.prev.encode(errors="replace")
    if not payload.startswith(begin) or payload[-1:] != b"}" or b"\n" in payload or b"\r" in payload:
        raise EventDecodingError(at, "is not as the append script writes it")
    return link


def _break(at: str, link: _Link, before: str) -> LedgerDamagedError:
    """What is wrong with an event that does not follow its task's last one, whose head is `before`."""
    version, _, position = before.partition(":")
    expected = int(version or 0) + 1
    if link.version != expected:
        return SequenceGapError(f"version of task {link.task}", at, expected=expected, found=link.version)
    return LedgerDamagedError(
        f"The event at {at} of task {link.task} names {link.prev} as the one before it, and {position or 'none'} is."
    )
