"""What two texts have in common: the runs of words or lines that stand in both, in order. Pure.

It is Myers' algorithm, as in git: the fewest words removed and added. An `Effort` bounds its cost, because for two long texts
with little in common it would be the square of their length. `difflib` takes the cube at worst, which is minutes for 64 KiB
(docs/decisions/0035).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

EFFORT_STEPS_MAX: Final = 500_000
"""About a quarter of a second, and 40 MB."""

_TOKENS: Final = re.compile(r"\w+|\s+|[^\w\s]")


class Effort:
    """How many steps the comparisons that share it may still take, all together."""

    def __init__(self, steps: int = EFFORT_STEPS_MAX) -> None:
        self.steps = steps


class Run(NamedTuple):
    """A run that stands in both: where it begins in each, and how long it is."""

    before: int
    after: int
    length: int


class Piece(NamedTuple):
    """Part of a text: in both (` `), only before (`-`) or only after (`+`)."""

    sign: Literal[" ", "-", "+"]
    text: str


def word_diff(before: str, after: str, effort: Effort) -> list[Piece]:
    """The words of both texts in order. Blanks between two changed words count as changed too.

    If the effort is used up, everything between the first and the last difference is removed and added.
    """
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    pieces: list[Piece] = []
    taken_out, put_in = "", ""
    at_old = at_new = 0
    for run in [*common_runs(old, new, effort), Run(len(old), len(new), 0)]:
        taken_out += "".join(old[at_old : run.before])
        put_in += "".join(new[at_new : run.after])
        at_old, at_new = run.before + run.length, run.after + run.length
        common = "".join(old[run.before : at_old])
        is_at_an_end = not run.length or not run.before or at_old == len(old)
        if common.isspace() and "\n" not in common and not is_at_an_end and (taken_out and put_in):
            taken_out += common
            put_in += common
            continue
        pieces += [piece for piece in (Piece("-", taken_out), Piece("+", put_in), Piece(" ", common)) if piece.text]
        taken_out = put_in = ""
    return pieces


def common_runs(before: Sequence[str], after: Sequence[str], effort: Effort) -> list[Run]:
    """The longest sequence that both have in order, as runs that do not touch.

    If the effort is used up, only what both begin and end with.
    """
    start = _count_common(before, after)
    end = _count_common(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    between = _shortest_way(old, new, effort) if old and new else []
    runs = [Run(0, 0, start), *(Run(x + start, y + start, length) for x, y, length in between)]
    runs.append(Run(len(before) - end, len(after) - end, end))
    return list(_joined(run for run in runs if run.length))


def _count_common(before: Sequence[str], after: Sequence[str]) -> int:
    """How many items both begin with."""
    count = 0
    for old, new in zip(before, after, strict=False):
        if old != new:
            break
        count += 1
    return count


def _joined(runs: Iterator[Run]) -> Iterator[Run]:
    last: Run | None = None
    for run in runs:
        if last is not None and (last.before + last.length, last.after + last.length) == (run.before, run.after):
            last = Run(last.before, last.after, last.length + run.length)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _shortest_way(old: Sequence[str], new: Sequence[str], effort: Effort) -> list[Run]:
    """The runs on a path of fewest changes. No runs if it takes more than the effort. Source: Myers, An O(ND) Difference Algorithm."""
    reached = {1: 0}
    """Diagonal (place in old less place in new) -> how far it was come in old."""
    trail: list[dict[int, int]] = []
    for changes in range(len(old) + len(new) + 1):
        effort.steps -= 2 * changes + 1
        if effort.steps < 0:
            return []
        trail.append({k: reached[k] for k in range(-changes - 1, changes + 2) if k in reached})
        for diagonal in range(-changes, changes + 1, 2):
            first, _ = _step(reached, diagonal, changes)
            x, y = first, first - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x += 1
                y += 1
            effort.steps -= x - first
            reached[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _runs_back(trail, x, diagonal)
    raise AssertionError("removing all and adding all is a path")


def _step(reached: dict[int, int], diagonal: int, changes: int) -> tuple[int, int]:
    """How far in old one more change leads on this diagonal, and from which diagonal: a word is added from above, or removed from below."""
    above, below = reached.get(diagonal + 1, -1), reached.get(diagonal - 1, -1)
    if diagonal == -changes or (diagonal != changes and below < above):
        return above, diagonal + 1
    return below + 1, diagonal - 1


def _runs_back(trail: Sequence[dict[int, int]], x: int, diagonal: int) -> list[Run]:
    """The runs of the path that ends at `x` in old on this diagonal."""
    runs: list[Run] = []
    for changes in range(len(trail) - 1, -1, -1):
        first, came_from = _step(trail[changes], diagonal, changes)
        if x > first:
            runs.append(Run(first, first - diagonal, x - first))
        x = trail[changes].get(came_from, 0)
        diagonal = came_from
    return runs[::-1]
