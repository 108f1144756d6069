"""Chain: checks that stored events follow each other, in their ledger and in their task. Pure.

It reads only the envelope, so it takes events of every type. `soundness` judges what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ledger.errors import EventDecodingError, LedgerDamagedError, SequenceGapError
from ledger.position import BEGINNING, Position, ms_of
from ledger.recorded_event import FIELD, StreamEntry
from ledger.times import TIME_MS_MAX


class _Link(Struct, frozen=True, gc=False):
    """The place of an event: its task, its version, and the event before it."""

    task: str
    version: int
    prev: str | None = None


# TypeError and ValueError: the entry has not one field, or a text is not UTF-8.
_NOT_AN_EVENT: Final = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)
_FIRST: Final = b'{"prev":null,'
_BRACE: Final = ord("}")
_decode: Final = msgspec.json.Decoder(_Link).decode


class Chain:
    """Follows a ledger's entries from its first one, and knows the last event of every task.

    It can begin at a later `position`; `last` is then task id -> version and position of the last event, of each task to come.
    """

    def __init__(self, position: Position = BEGINNING, last: Mapping[str, tuple[int, str]] = {}) -> None:
        self.position = position
        self._last = dict(last)

    def follow(self, entries: Sequence[StreamEntry]) -> dict[str, tuple[str, str]]:  # noqa: C901 - a call less is a tenth of an export
        """Check the entries that come next; returns each of their tasks with its head before ('' = none) and after them.

        A head is `<version>:<position>`, as in the ledger's hash. LedgerDamagedError names the first entry that does not
        follow the one before it, or that the append script does not write; the entries before it were accepted.
        """
        last, decode = self._last, _decode
        before: dict[str, tuple[int, str] | None] = {}
        ms_text, _, seq_text = self.position.partition("-")
        seq = int(seq_text)
        at: str = self.position
        has_line_breaks = _have_line_breaks(entries)
        try:
            for place, fields in entries:
                text = place.decode("ascii")
                try:
                    name, payload = fields
                    link = decode(payload)
                    prev = link.prev
                    begin = _FIRST if prev is None else b'{"prev":"%s",' % prev.encode()
                except _NOT_AN_EVENT as error:
                    raise EventDecodingError(text, "is not an event with a task and a version") from error
                if not payload.startswith(begin) or payload[-1] != _BRACE or name != FIELD:
                    raise EventDecodingError(text, "is not as the append script writes it")
                if has_line_breaks and _have_line_breaks([(place, fields)]):
                    raise EventDecodingError(text, "is not as the append script writes it: it has line breaks")
                ms, _, number = text.partition("-")
                if int(number) != seq + 1:
                    raise SequenceGapError("sequence number", text, expected=seq + 1, found=int(number))
                if ms != ms_text:
                    _check_time(text, after_ms=int(ms_text))
                    ms_text = ms
                task_id, version = link.task, link.version
                known = last.get(task_id)
                if known is None:
                    if version != 1 or prev is not None:
                        raise _break(text, link, known)
                elif version != known[0] + 1 or prev != known[1]:
                    raise _break(text, link, known)
                if task_id not in before:
                    before[task_id] = known
                last[task_id] = (version, text)
                at, seq = text, seq + 1
        finally:
            self.position = Position(at)
        return {task_id: (_head(known), _head(last[task_id])) for task_id, known in before.items()}


def _head(last: tuple[int, str] | None) -> str:
    return "" if last is None else f"{last[0]}:{last[1]}"


def _have_line_breaks(entries: Sequence[StreamEntry]) -> bool:
    """Whether any value has one. One look at all of them takes a fifth of the time."""
    joined = b"".join([value for _, fields in entries for value in fields])
    return b"\n" in joined or b"\r" in joined


def _check_time(at: str, *, after_ms: int) -> None:
    ms = ms_of(at)
    if not after_ms <= ms <= TIME_MS_MAX:
        where = "has an earlier time than the event before it" if ms < after_ms else "has a time after the year 9999"
        raise LedgerDamagedError(f"The event at {at} {where}.")


def _break(at: str, link: _Link, known: tuple[int, str] | None) -> LedgerDamagedError:
    """The error for an event that does not follow its task's last one."""
    expected = 1 if known is None else known[0] + 1
    if link.version != expected:
        return SequenceGapError(f"version of task {link.task}", at, expected=expected, found=link.version)
    position = "none" if known is None else known[1]
    return LedgerDamagedError(
        f"The event at {at} of task {link.task} names {link.prev or 'none'} as the event before it, but that is {position}."
    )
