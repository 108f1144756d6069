"""Compares what a page shows with what a program printed, where ids, positions, times and versions differ each time.

An id or position that a page shows is bound to the one that stands in its place in the output, for the rest of the
page: so later commands can name it, and it must be the same one wherever the page shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

ANYTHING: Final = "…"
"""In a line: any text. Alone on a line: any lines."""

_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_POSITION: Final = r"[0-9]{13}-[0-9]+"
_NAME: Final = re.compile(rf"(?<![\w-])(?:{_UUID}|{_POSITION}|[0-9a-f]{{8}})(?![\w-])")
_SHORT_CHARS: Final = 8

_PATTERNS: Final = (
    (re.compile(_UUID), "<uuid>"),
    (re.compile(r"[0-9]{13}-([0-9]+)"), r"<ms>-\1"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:[0-9]{2})"), "<time>"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"), "<time>"),
    (re.compile(r"(Valkey|Redis|tt) [0-9]+\.[0-9]+\.[0-9]+"), r"\1 <version>"),
    (re.compile(r"(?<![\w-])[0-9a-f]{8}(?![\w-])"), "<id>"),
)


def normalized(line: str) -> str:
    """A line with what differs from run to run replaced by what it is."""
    for pattern, kind in _PATTERNS:
        line = pattern.sub(kind, line)
    return line.rstrip()


class Bindings:
    """The ids and positions of a page, and what stands for them in this run."""

    def __init__(self) -> None:
        self._actual: dict[str, str] = {}

    def fill(self, command: str) -> str:
        """A page's command with this run's ids and positions."""
        return _NAME.sub(lambda found: self._actual.get(found[0], found[0]), command)

    def as_on_page(self, output: str) -> str:
        """This run's output with the page's ids and positions, where the page has shown them."""
        shown = {actual: name for name, actual in self._actual.items()}

        def name_of(actual: str) -> str:
            short = actual[:_SHORT_CHARS]
            return shown.get(actual) or shown.get(short, short) + actual[_SHORT_CHARS:]

        return _NAME.sub(lambda found: name_of(found[0]), output)

    def compare(self, expected: Sequence[str], actual: Sequence[str]) -> str | None:
        """What is wrong with the output, or None; binds the names that `expected` shows."""
        rest = list(actual)
        for number, line in enumerate(expected):
            if line.strip() == ANYTHING:
                following = expected[number + 1] if number + 1 < len(expected) else None
                while rest and (following is None or not _matches(following, rest[0])):
                    rest.pop(0)
                continue
            if not rest:
                return f"the page shows {line!r}, and the output has ended"
            found = rest.pop(0)
            if not _matches(line, found):
                return f"the page shows {line!r}, and the output has {found!r}"
            problem = self.bind(line, found)
            if problem is not None:
                return problem
        return f"the page ends, and the output has {rest[0]!r}" if rest else None

    def bind(self, expected: str, actual: str) -> str | None:
        """Bind the names in a line that matches; what is wrong, or None."""
        shown = expected.partition(ANYTHING)[0]
        for name, found in zip(_NAME.findall(shown), _NAME.findall(actual), strict=False):
            for each, value in _parts(name, found):
                if self._actual.setdefault(each, value) != value:
                    return f"the page shows {each} once for {self._actual[each]} and once for {value}"
        return None


def _matches(expected: str, actual: str) -> bool:
    parts = [re.escape(part) for part in normalized(expected).split(ANYTHING)]
    return re.fullmatch(".*".join(parts), normalized(actual)) is not None


def _parts(name: str, actual: str) -> Iterator[tuple[str, str]]:
    """A name and what stands for it; of a task's id also the short form."""
    yield name, actual
    if re.fullmatch(_UUID, name):
        yield name[:_SHORT_CHARS], actual[:_SHORT_CHARS]
