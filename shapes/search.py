"""The JSON shape of what a search finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import Position
from shapes import Shape, moment_shape, next_shape, reader_shape, task_shape

if TYPE_CHECKING:
    from projections import Found, Hit, Text
    from shapes.given import When
    from town import Reader, Town


def found_shape(town: Town, reader: Reader, found: Found, *, at: When | None, is_ever: bool, offset: int) -> Shape:
    """A page of what was found, and how to see the next one."""
    after = offset + len(found.hits)
    has_more = bool(found.hits) and after < found.total
    return {
        "town": town.name,
        **reader_shape(reader, at),
        "words": found.words,
        "ever": is_ever,
        "total": found.total,
        "offset": offset,
        **next_shape(offset=after if has_more else None),
        "hits": [hit_shape(hit) for hit in found.hits],
    }


def hit_shape(hit: Hit) -> Shape:
    """A task that was found, null if it was removed, and its texts that have a word."""
    return {
        "id": hit.task_id,
        "alias": hit.alias,
        "title": hit.title,
        "task": task_shape(hit.task),
        "found": [text_shape(text) for text in hit.texts],
    }


def text_shape(text: Text) -> Shape:
    """A text with the event that wrote it, and the one that changed or removed it since, if any did."""
    return {
        "place": text.place,
        "text": text.text,
        **moment_shape(Position(text.at)),
        "actor": text.actor,
        "until": None if text.until is None else moment_shape(Position(text.until)),
    }
