"""TOML that may be broken: the tables of a plan's text, and every place where it is not TOML. Pure.

The parser stops at its first error. So this room blanks the lines in error and parses the rest again. For an unclosed
list or text, it blanks everything up to the next `[[tasks]]` header.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec import structs

from town.errors import PlacedFault
from town.plans.text import Extent, extent_at

BAD_LINES_MAX: Final = 20

_TASK_HEADER: Final = re.compile(r"""[ \t]*\[\[[ \t]*(?:tasks|"tasks"|'tasks')[ \t]*\]\]""")
_OPENERS: Final = (("[", "list"), ("{", "table"), ('"""', "text"), ("'''", "text"))
"""How a multi-line value begins."""


class Parsed(NamedTuple):
    """The tables that could be parsed, and their text: the same lines, with those that are not TOML left empty.

    Both are empty if the search was given up. `broken_lines` (from 1) are the first lines of the parts left out.
    """

    table: dict[str, Any]
    text: str
    faults: tuple[PlacedFault, ...] = ()
    broken_lines: tuple[int, ...] = ()


class _Break(NamedTuple):
    """A place where a text stops being TOML: the parser's message, and the lines to leave out (from 0, both included)."""

    fault: PlacedFault
    first: int
    last: int
    begin: int
    """An offset up to which the text is TOML."""


def parse_plan(text: str) -> dict[str, Any]:
    """The tables of a text that is TOML."""
    # Four times as fast as the standard library's, which was made from it (docs/decisions/0011).
    import tomli  # noqa: PLC0415 - only who has a plan pays for it

    return tomli.loads(text)


def parse_faulty_plan(text: str) -> Parsed:
    """The tables of a text, and up to BAD_LINES_MAX places where it is not TOML."""
    import tomli  # noqa: PLC0415 - as above

    faults: dict[int, PlacedFault] = {}
    begin = 0
    while True:
        try:
            return Parsed(tomli.loads(text), text, tuple(faults.values()), tuple(line + 1 for line in faults))
        except tomli.TOMLDecodeError as error:
            words = f"not TOML: {error.msg[:1].lower()}{error.msg[1:]}"
            found = _find_break(text, begin, PlacedFault(error.lineno, error.colno, words))
        except RecursionError:
            return _given_up(faults, PlacedFault(1, 1, "not TOML: arrays or tables lie too deep in each other"))
        except ValueError as error:
            # Python's own error for a number of thousands of digits.
            return _given_up(faults, PlacedFault(1, 1, f"not TOML: {error}"))
        lines = text.split("\n")
        # The substitute for a bad header may be bad too. That fault was reported already.
        stand_in = "" if found.first in faults else _stand_in(lines[found.first], found.first)
        faults.setdefault(found.first, found.fault)
        if len(faults) == BAD_LINES_MAX or not lines[found.first]:
            return _given_up(faults)
        lines[found.first : found.last + 1] = [stand_in, *[""] * (found.last - found.first)]
        text, begin = "\n".join(lines), found.begin


def _given_up(faults: Mapping[int, PlacedFault], *more: PlacedFault) -> Parsed:
    return Parsed({}, "", (*faults.values(), *more))


def _find_break(text: str, begin: int, fault: PlacedFault) -> _Break:
    """What to leave out for a fault. Up to the offset `begin` the text is TOML."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    # Use line and column: the parser's offset is that of a text without carriage returns.
    line = min(fault.line, len(starts)) - 1
    extent = extent_at(text, min(starts[line] + fault.column - 1, len(text)), begin=begin)
    first = bisect_right(starts, extent.start) - 1
    kind = _kind(text, extent)
    end = extent.end if extent.end is not None else len(text) if kind else extent.start
    last = bisect_right(starts, end) - 1
    if last < line:
        # Everything before it has ended, such as before a comment with a control character.
        return _Break(fault, line, line, starts[first])
    if kind and first < line:
        fault = structs.replace(fault, problem=f"{fault.problem}; the {kind} was opened in line {first + 1}")
    header = next((each for each in range(first + 1, last + 1) if _TASK_HEADER.match(text, starts[each])), last + 1)
    return _Break(fault, first, header - 1, starts[first])


def _kind(text: str, extent: Extent) -> str | None:
    """A word for a value that can span lines; None for other values."""
    if extent.value is None:
        return None
    return next((kind for opener, kind in _OPENERS if text.startswith(opener, extent.value)), None)


def _stand_in(line: str, number: int) -> str:
    """The substitute for a bad line. For a header, it is one that separates the lines below from those above."""
    stripped = line.lstrip()
    if stripped.startswith("[["):
        return "[[tasks]]"
    return f"[line-{number}]" if stripped.startswith("[") else ""
