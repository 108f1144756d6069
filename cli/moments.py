"""Moments in answers for users: which one is shown, and how WHEN was understood, with its zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from cli.output import say, tell, warn
from cli.text import visible
from ledger import BEGINNING, Position
from town import HeadBack, MomentError, Now, StateEntered, local_time

if TYPE_CHECKING:
    from cli.options import When
    from town import Moment, Town


def with_event(town: Town, when: When | None) -> When | None:
    """`when` with the event that it names, if it counts events back or names a task's state. MomentError, TaskNotFoundError."""
    if when is None or not isinstance(when.moment, HeadBack | StateEntered):
        return when
    return when._replace(event=town.events.position_at(when.moment))


def limit_of(when: When | None) -> Moment | None:
    """What to ask a town for, if anything."""
    return None if when is None else when.limit


@contextmanager
def saying_choices(*whens: When | None) -> Iterator[None]:
    """If the town does not have one of these moments, say what was chosen before the error does."""
    try:
        yield
    except MomentError:
        say_choices(*whens)
        raise


def say_past(at: When, then: Position | None, what: str, *, is_beside: bool = False) -> None:
    """Print the line above an answer about the past, or beside it on stderr. `then` is the last event by then; None is now."""
    (tell if is_beside else say)("As of now:" if then is None else f"{what} {moment_words(at, then)}:")
    say_choices(at)


def moment_words(at: When, then: Position) -> str:
    """`at 2026-11-25 00:00:00 UTC+1, after event 12, 2026-11-24 18:36:38 UTC+1`: the moment, and the last event by then."""
    if then == BEGINNING:
        return "before the first event"
    words = f"after {_event_words(then)}"
    asked = _asked_words(at)
    return words if asked is None else f"at {asked}, {words}"


def limit_words(at: When | None, limit: Position) -> str:
    """One end of a span, so that it has a time: `event 12, 2026-11-24 18:36:38 UTC+1`, or what was asked and then the event.

    As in `2026-11-25 00:00:00 UTC+1 (after event 12)`, `HEAD~2 (event 12, 2026-11-24 18:36:38 UTC+1)`, `now (event 12)`.
    """
    if limit == BEGINNING:
        return "the beginning"
    if at is None or at.moment is Now.NOW:
        return f"now (event {limit.seq:,})"
    asked = _asked_words(at)
    if asked is None:
        return _event_words(limit)
    return f"{asked} ({f'after event {limit.seq:,}' if isinstance(at.moment, datetime) else _event_words(limit)})"


def say_span(since: When | None, until: When | None, before: When | None = None) -> None:
    """Say from when to when events are shown, on stderr. An event's number needs no words: it is in the answer."""
    limits = [
        f"{word} {asked}{'' if when.event is None else f', {_event_words(when.event)}'}"
        for word, when in (("from", since), ("to", until), ("before", before))
        if when is not None and (asked := _asked_words(when)) is not None
    ]
    if limits:
        words = " ".join(limits)
        warn(f"{words[0].upper()}{words[1:]}:")
    say_choices(since, until, before)


def say_choices(*whens: When | None) -> None:
    """Say what was chosen if clocks showed a time twice or never, on stderr."""
    for when in whens:
        if when is not None and when.note is not None:
            warn(when.note)


def _asked_words(when: When) -> str | None:
    """A time with its zone, or the words that the ledger explains; None if they are an event's number or position."""
    if isinstance(when.moment, datetime):
        return local_time(when.moment)
    return None if isinstance(when.moment, int | Position) else visible(when.text.strip())


def _event_words(position: Position) -> str:
    return f"event {position.seq:,}, {local_time(position.time)}"
