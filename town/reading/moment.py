"""Moment: a point in a town's past, as `when` reads it from what people type and as readers ask for it."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from ledger import Position


class Now(Enum):
    """The present, which is the end of the ledger and not a time: the server's clock may stand behind its last event."""

    NOW = "now"


class HeadBack(NamedTuple):
    """So many events before the last one."""

    events: int


class StateEntered(NamedTuple):
    """When a task, as people call it, entered a state, the last time; `created` is when it was made."""

    task: str
    entered: str


Moment = Position | int | datetime | Now | HeadBack | StateEntered
"""A position, the number of an event, an aware time, the present, or what a ledger has to tell."""


class Understood(NamedTuple):
    """A moment as it was understood, and in words what was chosen where a clock showed that time twice or never."""

    moment: Moment
    note: str | None = None


WHEN_HELP: Final = (
    "an event (12, HEAD~10, @TASK:completed), a time (2026-11-24 17:00, yesterday, tue 17:00) or an age (2h)"
)
CREATED: Final = "created"
TEXT_CHARS_SHOWN: Final = 60


class MomentSyntaxError(ValueError):
    """The text is not a moment; `problem` says why, as far as that is known, and ADVICE what may be given."""

    ADVICE: Final = f"Give {WHEN_HELP}."

    def __init__(self, text: str, why: str = "") -> None:
        self.shown = repr(text if len(text) <= TEXT_CHARS_SHOWN else f"{text[:TEXT_CHARS_SHOWN]}…")
        self.problem = f"is not a moment{why}"
        super().__init__(f"{self.shown} {self.problem}. {self.ADVICE}")


class NotOneMomentError(ValueError):
    """The words may mean several moments, or none for sure; the message goes on after "is not a moment"."""
