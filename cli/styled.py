"""Styled: text in pieces with styles, which have Rich's names. It does not import Rich, which only terminal output needs."""

from __future__ import annotations

from msgspec import Struct


class Styled(Struct, frozen=True):
    """Pieces in order, each a text and its style; an empty style means plain text."""

    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str, style: str = "") -> Styled:
        """A text in one style."""
        return cls(((text, style),))

    @classmethod
    def assemble(cls, *parts: str | tuple[str, str] | Styled) -> Styled:
        """Join the parts."""
        pieces: list[tuple[str, str]] = []
        for part in parts:
            if isinstance(part, Styled):
                pieces += part.pieces
            else:
                pieces.append((part, "") if isinstance(part, str) else part)
        return cls(tuple(pieces))

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self.pieces)

    def __str__(self) -> str:
        return self.plain
