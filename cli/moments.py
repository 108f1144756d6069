"""Moments in answers for people: which one is shown, and how WHEN was understood, with its zone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cli.output import say, warn
from cli.text import visible
from ledger import BEGINNING, Position
from town import local_time

if TYPE_CHECKING:
    from cli.options import When


def say_past(at: When, then: Position | None, what: str) -> None:
    """The line above an answer about the past, whose last event is the one at `then`; None is now."""
    say("As of now:" if then is None else f"{what} {moment_words(at, then)}:")
    say_choices(at)


def moment_words(at: When, then: Position) -> str:
    """`at 2026-11-25 00:00:00 UTC+1, after event 12, 2026-11-24 18:36:38 UTC+1`: the moment asked for, and the last event then."""
    if then == BEGINNING:
        return "before the first event"
    words = f"after event {then.seq:,}, {local_time(then.time)}"
    asked = _asked_words(at)
    return words if asked is None else f"at {asked}, {words}"


def say_span(since: When | None, until: When | None) -> None:
    """From when to when is shown, on stderr; nothing of a limit that is an event, which is in the answer itself."""
    limits = [
        f"{word} {asked}"
        for word, when in (("from", since), ("to", until))
        if when is not None and (asked := _asked_words(when)) is not None
    ]
    if limits:
        words = " ".join(limits)
        warn(f"{words[0].upper()}{words[1:]}:")
    say_choices(since, until)


def say_choices(*whens: When | None) -> None:
    """What was chosen where a clock showed a time twice or never, on stderr."""
    for when in whens:
        if when is not None and when.note is not None:
            warn(when.note)


def _asked_words(when: When) -> str | None:
    """A time with its zone, or the words that the ledger explains; None where they name an event."""
    if isinstance(when.moment, datetime):
        return local_time(when.moment)
    return None if isinstance(when.moment, int | Position) else visible(when.text.strip())
