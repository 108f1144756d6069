"""Columns of a terminal: those that are counted here are as Rich counts them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from cli.columns import _COMMON, columns
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
