"""Endpoint: a path, a method, what it is given, and what it does. The application and the OpenAPI document are made of these."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from ledger import InvalidValueError, Position
from town import HeadBack, Moment, MomentSyntaxError, Reader, StateEntered, Town, in_local_zone, understand
from web.answers import Answer
from web.towns import ServedTown

When = Annotated[
    str, Meta(description="The moment to show: an event's number, a time, or an age such as 2h. Default: now.")
]


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request gives in its query, or in its body. A field that is left out is None."""


class AtGiven(Given, frozen=True):
    """A read that can show any moment."""

    at: When | None = None


class Understood(NamedTuple):
    """A WHEN, as it was given and understood."""

    text: str
    moment: Moment
    note: str | None = None
    event: Position | None = None


class Asked(NamedTuple):
    """A request on its way through an endpoint: an open town, and the parts of the path that are names."""

    town: Town
    served: ServedTown
    task: str = ""
    may_write: bool = False
    expected_version: int | None = None
    """What the header `If-Match` asks for."""

    def at(self, text: str | None) -> tuple[Reader, Understood | None]:
        """The reader of a moment, and how it was understood. InvalidValueError, MomentError."""
        when = self.when(text)
        if when is None:
            return self.town, None
        return self.town.at(when.moment if when.event is None else when.event), when

    def when(self, text: str | None, *, name: str = "at") -> Understood | None:
        """How a WHEN was understood, with the event that it names; None if there is none. InvalidValueError, MomentError."""
        if text is None:
            return None
        try:
            found = Understood(text, *understand(text, now=in_local_zone(datetime.now(UTC))))
        except MomentSyntaxError as error:
            raise InvalidValueError(name, error.problem, error.ADVICE) from error
        if isinstance(found.moment, HeadBack | StateEntered):
            return found._replace(event=self.town.events.position_at(found.moment))
        return found


class Endpoint(NamedTuple):
    """What one path and method do. `path` is below the town's; `{task}` stands for an id, its beginning, or an alias."""

    method: str
    path: str
    given: type[Given]
    call: Callable[[Asked, Any], Answer]
    words: str
    """A line for the OpenAPI document."""
    is_writing: bool = False
    answer: str = "object"
    """The name of the answer's schema in the OpenAPI document."""
