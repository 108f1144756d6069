"""Moment: a point in a town's past. `when` reads it from text, and readers ask for it."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from ledger import Position


class Now(Enum):
    """The present. It is the end of the ledger and not a time: the server's clock may be behind the last event."""

    NOW = "now"


class HeadBack(NamedTuple):
    """The moment so many events before the last one."""

    events: int


class StateEntered(NamedTuple):
    """The last time that a task entered a state. `reference` is an alias, an id or the beginning of one; `created` is its creation."""

    reference: str
    entered: str


Moment = Position | int | datetime | Now | HeadBack | StateEntered
"""A position, the number of an event, an aware time, the present, or a moment that only the ledger knows."""


class Understood(NamedTuple):
    """A moment as it was understood, and the choice in words, if clocks showed that time twice or never."""

    moment: Moment
    note: str | None = None


WHEN_HELP: Final = (
    "an event (12, HEAD~10, @TASK:completed), a time (2026-11-24 17:00, yesterday, tue 17:00) or an age (2h)"
)
TIME_HELP: Final = "a time (2026-12-01, 2026-12-01 17:00, tomorrow, fri 17:00) or how long from now (2h, 3 days)"
CREATED: Final = "created"
TEXT_CHARS_SHOWN: Final = 60


class MomentSyntaxError(ValueError):
    """The text is not a moment. `problem` says why, if that is known; ADVICE says which forms there are."""

    ADVICE: Final = f"Give {WHEN_HELP}."

    def __init__(self, text: str, why: str = "") -> None:
        self.shown = repr(text if len(text) <= TEXT_CHARS_SHOWN else f"{text[:TEXT_CHARS_SHOWN]}…")
        self.problem = f"is not a moment{why}"
        super().__init__(f"{self.shown} {self.problem}. {self.ADVICE}")


class TimeSyntaxError(ValueError):
    """The text is no time to come. ADVICE says which forms there are."""

    ADVICE: Final = f"Give {TIME_HELP}, or none for no time."

    def __init__(self, text: str, why: str = "") -> None:
        shown = repr(text if len(text) <= TEXT_CHARS_SHOWN else f"{text[:TEXT_CHARS_SHOWN]}…")
        super().__init__(f"{shown} is not a time{why}. {self.ADVICE}")


class NotOneMomentError(ValueError):
    """The words may mean several moments, or none. The message continues "is not a moment"."""
