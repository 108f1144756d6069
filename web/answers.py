"""Answer: what an endpoint gives back, before it is a response."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

from ledger import Position

JSON: Final = "application/json"


def _plain(value: object) -> str:
    """Positions are text of a class of their own; an error is given in its words."""
    if isinstance(value, Exception):
        from town import words_of  # noqa: PLC0415 - few answers have errors in them

        return words_of(value)
    assert isinstance(value, str), f"nothing of {type(value)} is in a shape"
    return str(value)


encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
"""A shape as JSON."""


class Answer(Struct, frozen=True):
    """A shape, or bytes of JSON. `position` is what the answer shows, if it depends on the ledger alone."""

    shape: Any
    position: Position | None = None
    status: int = 200
    headers: dict[str, str] = {}


def tag_of(position: Position) -> str:
    """The entity tag of what is shown at a position."""
    return f'"{position}"'


def response_of(answer: Answer, *, known: str | None) -> Response:
    """The response; 304 without a body if the client already has this, by the tags in its `If-None-Match`."""
    headers = {"Cache-Control": "no-cache", **answer.headers}
    if answer.position is not None:
        headers["ETag"] = tag_of(answer.position)
        if known is not None and _is_among(headers["ETag"], known):
            return Response(status_code=304, headers=headers)
    body = answer.shape if isinstance(answer.shape, bytes) else encode(answer.shape)
    return Response(body, answer.status, headers, JSON)


def _is_among(tag: str, known: str) -> bool:
    """Whether a tag is one of those in a header; a weak one is as good."""
    return known.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in known.split(",")]
