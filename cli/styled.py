"""Styled: text whose pieces have styles, in Rich's words for them. It needs no Rich, which only a terminal's output is made with."""

from __future__ import annotations

from msgspec import Struct


class Styled(Struct, frozen=True):
    """Pieces in their order, each a text and its style; without a style it is empty."""

    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str, style: str = "") -> Styled:
        """A text in one style."""
        return cls(((text, style),))

    @classmethod
    def assemble(cls, *parts: str | tuple[str, str] | Styled) -> Styled:
        """What the parts are, one after another."""
        pieces: list[tuple[str, str]] = []
        for part in parts:
            if isinstance(part, Styled):
                pieces += part.pieces
            else:
                pieces.append((part, "") if isinstance(part, str) else part)
        return cls(tuple(pieces))

    @property
    def plain(self) -> str:
        """The words alone."""
        return "".join(text for text, _ in self.pieces)

    def __str__(self) -> str:
        return self.plain
