"""`title_of`: the first line with something on it."""

from __future__ import annotations

import pytest

from ledger import title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Fix", "Fix"),
        ("Fix\n\nWhy", "Fix"),
        ("\n \n\t Fix it \r\nWhy", "Fix it"),
        ("# Fix\n- a", "# Fix"),
        ("Fix\n", "Fix"),
        (" \n ", ""),
        ("", ""),
    ],
)
def test_title_is_the_first_line_that_shows_something(text: str, title: str) -> None:
    """Without blanks around it; whatever it begins with is kept."""
    assert title_of(text) == title
