"""Words: what a text is cut into, so that a search can find it. Pure.

A word is a run of letters and digits. Case and accents do not count. Chinese and Japanese have no spaces, so there each
character is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ledger import InvalidValueError

QUERY_WORDS_MAX: Final = 32
PREFIX_CHARS_MIN: Final = 2
"""A shorter word is found only as a whole word: nearly every task has a word that begins with it."""
_ALONE: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han: each character is a word."""
_ACCENTS: Final = "\u0300-\u036f"
_ASCII_WORD: Final = re.compile("[a-z0-9]+")
_WORD: Final = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_WORD_AS_WRITTEN: Final = re.compile(rf"[{_ALONE}]|(?:[^\W_{_ALONE}][{_ACCENTS}]*)+")
_ACCENT: Final = re.compile(f"[{_ACCENTS}]")


def words_of(text: str) -> list[str]:
    """The words of a text in their order, in small letters and without accents."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    from unicodedata import normalize  # noqa: PLC0415 - most texts are ASCII

    plain = normalize("NFC", _ACCENT.sub("", normalize("NFKD", text)))
    return _WORD.findall(plain.casefold())


def query_words(texts: Iterable[str]) -> tuple[str, ...]:
    """The different words that a user looks for, 1 to QUERY_WORDS_MAX. InvalidValueError."""
    words = tuple(dict.fromkeys(word for text in texts for word in words_of(text)))
    if not words:
        raise InvalidValueError("search", "has no letter or digit", "Give at least one word.")
    if len(words) > QUERY_WORDS_MAX:
        raise InvalidValueError("search", f"has {len(words):,} words", f"Give at most {QUERY_WORDS_MAX}.")
    return words


def fits(word: str, wanted: str) -> bool:
    """Whether a word of a text is the wanted one, or begins with it."""
    return word == wanted or (len(wanted) >= PREFIX_CHARS_MIN and word.startswith(wanted))


def spans(text: str, wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Where the wanted words are in a text: the start and end of each."""
    return [
        found.span()
        for found in _WORD_AS_WRITTEN.finditer(text)
        if any(fits(word, each) for word in words_of(found[0]) for each in wanted)
    ]
