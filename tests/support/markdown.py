"""Pages of documentation, taken apart: fenced blocks, headings, links and table rows. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"^```(\w*)\s*$")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its lines, and the number of its first line within the page (from 0)."""

    language: str
    lines: tuple[str, ...]
    first_line: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def pages() -> list[Path]:
    """Every page for readers: the README and all of docs, in order."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def page_name(page: Path) -> str:
    """What a page is called in messages: its path from the repository's root."""
    return page.relative_to(ROOT).as_posix()


def section(text: str, heading: str) -> str:
    """What stands below a heading, which is given with its signs, up to the next one of its rank or above."""
    rank = heading.partition(" ")[0]
    below = text.partition(f"\n{heading}\n")[2]
    assert below, f"no heading {heading!r}"
    ends = (below.find(f"\n{rank[:length]} ") for length in range(1, len(rank) + 1))
    return below[: min((end for end in ends if end >= 0), default=len(below))]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    language: str | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines()):
        fence = _FENCE.match(line)
        if language is None:
            if fence is not None:
                language, lines = fence[1], []
        elif line == "```":
            found.append(Block(language, tuple(lines), number - len(lines)))
            language = None
        else:
            lines.append(line)
    assert language is None, f"a fence is not closed: ```{language}"
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    lines = text.splitlines()
    for block in reversed(blocks(text)):
        del lines[block.first_line - 1 : block.first_line + len(block.lines) + 1]
    return "\n".join(lines)


def headings(text: str) -> list[str]:
    """The texts of a page's headings, in order, without marks."""
    return [line.lstrip("#").strip() for line in prose(text).splitlines() if line.startswith("#")]


def anchors(text: str) -> set[str]:
    """What a link may name behind `#` in this page."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def links(text: str) -> list[str]:
    """The targets of a page's links, in order."""
    return _LINK.findall(prose(text))
