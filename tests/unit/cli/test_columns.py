"""Columns of a terminal: those that are counted here are as Rich counts them, and what is made to fit does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.columns import _COMMON, columns, cut, wrapped
from cli.text import ICONS


def test_every_common_character_is_as_wide_as_rich_has_it() -> None:
    """Alone, and beside every kind of neighbour, so that no two of them are one to Rich."""
    common = [chr(code) for code in _COMMON] + [chr(code) for code in range(0x20, 0x7F)]
    assert [each for each in common if columns(each) != cell_len(each)] == []
    neighbours = ["a", "é", "→", *ICONS.values()]
    pairs = [first + second for first in common for second in neighbours]
    assert [each for each in pairs if columns(each) != cell_len(each)] == []


@pytest.mark.parametrize("text", ["", "plain", "⚠️ warning", "漢字", "e\u0301", "👩‍👧", "📌 assigned", "ä → ö"])
def test_any_text_is_as_wide_as_rich_has_it(text: str) -> None:
    """What is not common is Rich's to count."""
    assert columns(text) == cell_len(text)


@given(st.text(alphabet=st.characters(exclude_categories=["C", "M", "Z"]), max_size=40), st.integers(1, 30))
def test_cut_text_fits_and_says_that_it_is_cut(text: str, room: int) -> None:
    """What fits stays whole; of the rest the beginning stays, and as much as there is room for."""
    shown = cut(text, room)
    assert columns(shown) <= room
    assert shown == text if columns(text) <= room else shown.endswith("…")
    if shown != text:
        assert text.startswith(shown[:-1])
        assert columns(f"{text[: len(shown)]}…") > room


@given(st.lists(st.text("ab", min_size=1, max_size=9), max_size=9), st.integers(11, 30))
def test_wrapped_words_fit_and_are_all_there(words: list[str], room: int) -> None:
    """In their order, with the separator at the ends of lines."""
    lines = wrapped(words, room, between=", ")
    assert all(columns(line) <= room for line in lines)
    assert " ".join(lines) == ", ".join(words)
