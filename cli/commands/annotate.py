"""Annotate: a note on an event, which is shown wherever the event is."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from cli.exits import UsageError
from cli.given_text import text_of
from cli.options import ActorOption, JsonOption, NoteArgument, TownOption
from cli.output import say, say_json
from cli.render import NOTE_SIGN
from cli.session import opened
from cli.text import event_number, visible
from ledger import Position
from shapes import annotated_shape
from town import event_named


def annotate(
    event: Annotated[
        str,
        typer.Argument(metavar="EVENT", help="The event's position or number.", show_default=False),
    ],
    text: NoteArgument,
    *,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note on an event. It is an event itself, and is shown wherever the event is."""
    named, words = _event(event), text_of(text)
    with opened(town, actor) as opened_town:
        at, position = opened_town.annotator.annotate(named, words)
        if as_json:
            say_json(annotated_shape(opened_town, at, note=position))
            return
        say(f"{NOTE_SIGN} Event {event_number(at)} annotated: {visible(words)}")


def _event(text: str) -> Position | int:
    """The event that a person named. UsageError if the text names no event."""
    text = text.strip()
    with suppress(ValueError):
        if (event := event_named(text)) is not None:
            return event
    message = f"{text!r} names no event. Give its position or its number, as `tt events` shows it."
    raise UsageError(message)
