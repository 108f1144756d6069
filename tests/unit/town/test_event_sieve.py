"""The bytes that an event must have to match: characters that are the same in another case."""

from __future__ import annotations

import sys

from town.reading.event_sieve import FOLDED_TO_ASCII


def test_every_character_that_folds_to_ascii_is_known() -> None:
    """Of all of Unicode: `ß` is `ss` and the Kelvin sign is `k`, so an event with one of them may say an ASCII text."""
    known = "".join(FOLDED_TO_ASCII)
    every = (chr(number) for number in range(128, sys.maxunicode + 1))
    assert [each for each in every if each not in known and any(part.isascii() for part in each.casefold())] == []


def test_characters_of_a_group_begin_with_the_same_bytes() -> None:
    """Two bytes are looked for in place of several characters."""
    for group in FOLDED_TO_ASCII:
        assert len({each.encode()[:2] for each in group}) == 1
