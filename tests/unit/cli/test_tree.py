"""The command tree that Typer gets."""

from __future__ import annotations

import inspect

import pytest

from cli.tree import PLACES, _body


@pytest.mark.parametrize("names", PLACES, ids=" ".join)
def test_help_has_a_line_for_each_paragraph(names: tuple[str, ...]) -> None:
    """Typer keeps line breaks: at 40 columns, a paragraph of several lines was broken after a word or two."""
    help_text = inspect.getdoc(_body(names)) or ""
    assert help_text
    assert [line for paragraph in help_text.split("\n\n") for line in paragraph.split("\n")[1:]] == []
