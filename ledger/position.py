"""Position: an event's place in its ledger, which is order, time and sequence number in one.

A position is the stream entry's id, `<ms>-<seq>`. It stays text because that is what Redis, the events and the
snapshots hold, and because a fold reads a million of them and looks inside almost none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ledger.times import from_ms

if TYPE_CHECKING:
    from datetime import datetime

# Neighbours in a ledger share their milliseconds, so most calls are answered from the cache.
number_of: Final = lru_cache(maxsize=1_024)(int)
POSITION_PATTERN: Final = r"^(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})$"
"""What a position looks like where an event names one."""
_NUMBER_MAX: Final = 2**64 - 1
"""The largest value of each of the two numbers in a stream's id."""
_DIGITS_MAX: Final = 20


class Position(str):
    """`<ms>-<seq>`: milliseconds since 1970 UTC, and the event's number in its town (1, 2, 3, …).

    Positions order by `ms`, then `seq`. The text is canonical: equal positions are equal strings.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position written as `text`; ValueError if it is not one."""
        ms, _, seq = text.partition("-")
        if not (_is_number(ms) and _is_number(seq)):
            raise ValueError(f"not a position: {text!r}")
        return cls(text)

    @classmethod
    def of(cls, *, ms: int, seq: int) -> Position:
        return cls(f"{ms}-{seq}")

    @property
    def ms(self) -> int:
        return ms_of(self)

    @property
    def seq(self) -> int:
        return seq_of(self)

    @property
    def time(self) -> datetime:
        """When the event was recorded, UTC, to the millisecond."""
        return from_ms(self.ms)

    def __lt__(self, other: str) -> bool:
        return order_of(self) < order_of(other)

    def __le__(self, other: str) -> bool:
        return order_of(self) <= order_of(other)

    def __gt__(self, other: str) -> bool:
        return order_of(self) > order_of(other)

    def __ge__(self, other: str) -> bool:
        return order_of(self) >= order_of(other)


def _is_number(text: str) -> bool:
    """Whether `text` is one of the two numbers of a stream's id, as the server writes it."""
    return (
        text.isdecimal()
        and text.isascii()
        and (text[0] != "0" or text == "0")
        and (len(text) < _DIGITS_MAX or (len(text) == _DIGITS_MAX and int(text) <= _NUMBER_MAX))
    )


def order_of(position: str) -> tuple[int, int]:
    """`ms` and `seq` of a position that is plain text; positions sort by this."""
    ms, _, seq = position.partition("-")
    return number_of(ms), int(seq)


def ms_of(position: str) -> int:
    """The milliseconds of a position that is plain text."""
    return number_of(position.partition("-")[0])


def seq_of(position: str) -> int:
    """The sequence number of a position that is plain text."""
    return int(position.partition("-")[2])


BEGINNING: Final = Position("0-0")
"""Before the first event of every ledger."""
