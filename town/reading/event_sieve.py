"""A sieve for events as they are stored: what falls through certainly does not match; the rest is decoded and tested.

Decoding an event takes several times as long as looking for bytes in it, and looking in a whole batch at once takes even less.
A stored event is JSON, in which any character may be written as an escape: what has such an escape stays in the sieve.
docs/decisions/0036. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ledger import StreamEntry
from town.reading.event_filter import EventFilter

FOLDED_TO_ASCII: Final = ("ß", "İ", "ŉ", "ſ", "ǰ", "ẖẗẘẙẚẞ", "\N{KELVIN SIGN}", "ﬀﬁﬂﬃﬄﬅﬆ")
"""The characters beyond ASCII that have ASCII characters in their other case: `ß` is `ss`. Those of a group begin with the same bytes."""
_BEGINNINGS: Final = tuple(each.encode() if len(each) == 1 else each[0].encode()[:2] for each in FOLDED_TO_ASCII)
_ESCAPE: Final = b"\\u"
_SLASH_ESCAPE: Final = b"\\/"
_NEVER: Final = b"\xff"
"""A byte that is in no JSON."""
_TASK: Final = re.compile(rb'"task"\s*:\s*"([^"]*)"')
_PLAIN_RUN: Final = re.compile(r"[ -.0-~]+")
"""Characters of ASCII that JSON writes in one way: no slash, no control character."""


class _Bytes:
    """Tests whether bytes may have a value; it stands in JSON as `needle`."""

    def __init__(self, value: str) -> None:
        try:
            self._needle = msgspec.json.encode(value)
        except UnicodeEncodeError:
            # Text from a terminal may hold bytes that are not characters. Events have those only as escapes.
            self._needle = _NEVER
        self._has_slash = b"/" in self._needle

    def may_be_in(self, text: bytes) -> bool:
        return self._needle in text or _ESCAPE in text or (self._has_slash and _SLASH_ESCAPE in text)


class _Text:
    """Tests whether bytes may have a text in upper or lower case, by the longest part that can only be written in one way."""

    def __init__(self, text: str) -> None:
        run: str = max(_PLAIN_RUN.findall(text.casefold()), key=len, default="")
        self._run = msgspec.json.encode(run)[1:-1]

    def may_be_in(self, text: bytes) -> bool:
        return (
            self._run in text.lower()
            or _ESCAPE in text
            or (not text.isascii() and any(each in text for each in _BEGINNINGS))
        )


class Sieve:
    """What events must have in their bytes to match a filter. `tasks`, if given, are the ids that their tasks may have."""

    def __init__(self, wanted: EventFilter, *, tasks: Collection[str] | None = None) -> None:
        values = [_Bytes(value) for value in (wanted.type, wanted.actor) if value is not None]
        self._tests: list[_Bytes | _Text] = [*values, *([] if wanted.text is None else [_Text(wanted.text)])]
        self._ids = [frozenset(each.encode() for each in ids) for ids in (wanted.tasks, tasks) if ids is not None]

    def keep(self, entries: Sequence[StreamEntry]) -> Sequence[StreamEntry]:
        """The entries that may match, in their order. If these are not all events, all stay."""
        try:
            whole = b"\n".join([fields[1] for _, fields in entries]) if self._tests else b""
            for test in self._tests:
                if not test.may_be_in(whole):
                    return []
            for test in self._tests:
                entries = [entry for entry in entries if test.may_be_in(entry[1][1])]
            for ids in self._ids:
                entries = [entry for entry in entries if _may_be_of(ids, entry[1][1])]
        except (IndexError, TypeError, ValueError):
            return entries
        return entries


class GivingSieve:
    """The same for the events that may give a task to `agent`."""

    def __init__(self, agent: str) -> None:
        self._agent = _Bytes(agent)
        self._types = [_Bytes("task.assigned"), _Bytes("task.adopted")]

    def keep(self, entries: Sequence[StreamEntry]) -> Sequence[StreamEntry]:
        try:
            if not self._agent.may_be_in(b"\n".join([fields[1] for _, fields in entries])):
                return []
            return [entry for entry in entries if self._may_give(entry[1][1])]
        except (IndexError, TypeError, ValueError):
            return entries

    def _may_give(self, text: bytes) -> bool:
        return self._agent.may_be_in(text) and any(each.may_be_in(text) for each in self._types)


def _may_be_of(ids: frozenset[bytes], text: bytes) -> bool:
    found = _TASK.search(text)
    return found is None or found[1] in ids or _ESCAPE in text
