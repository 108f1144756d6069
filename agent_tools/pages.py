"""Pages: a cursor is the position of a board, how many tasks of it were given, and when, so the next page shows the same board."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct

from ledger import InvalidValueError, Position
from town import Reader, Town

Answer = TypeVar("Answer")

_CURSOR: Final = re.compile(r"([0-9]{1,15})\.([0-9]{1,9})\.([0-9]{1,15})", re.ASCII)
_ATTEMPTS: Final = 3
"""After that many attempts at which others changed the town, the board is read as it was."""


class Place(Struct, frozen=True):
    """A board, and how many tasks of an answer to skip."""

    reader: Reader
    position: Position
    offset: int = 0

    def cursor(self, count: int, *, has_more: bool) -> str | None:
        """The cursor of the page after this one of `count` tasks."""
        return f"{self.position.seq}.{self.offset + count}.{self.reader.time_ms()}" if has_more else None


def read_page(
    town: Town, read: Callable[[Place], Answer], *, at: str | None = None, cursor: str | None = None
) -> tuple[Place, Answer]:
    """What `read` finds on the board that the cursor names, else at the moment, else now. InvalidValueError, MomentError."""
    offset, time_ms = 0, None
    if cursor is not None:
        found = _CURSOR.fullmatch(cursor.strip())
        if found is None:
            raise InvalidValueError("cursor", "is not one that an answer had", "Give the cursor of the last answer.")
        at, offset, time_ms = found[1], int(found[2]), int(found[3])
    then = None
    if at is not None:
        reader = town.at(at, time_ms=time_ms)
        then = None if reader.then is None else Place(reader, reader.then, offset)
        if then is not None and then.position != town.end():
            return then, read(then)
    for _ in range(_ATTEMPTS):
        place = Place(town, town.end(), offset)
        answer = read(place)
        # The board of now is known much faster than that of a position, but it must not move meanwhile.
        if town.end() == place.position and (then is None or place.position == then.position):
            return place, answer
    if then is None:
        then = Place(town.at(place.position, time_ms=town.time_ms()), place.position, offset)
    return then, read(then)
