"""Title: what a text is about, in a line. Pure."""

from __future__ import annotations


def title_of(text: str) -> str:
    """The first line that shows something, without blanks around it, as of a commit's message; empty if there is none."""
    return text.strip().partition("\n")[0].rstrip()
