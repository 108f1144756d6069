"""What two texts have in common: the fewest changes, and a bound on what it takes to find them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.text_diff import EFFORT_STEPS_MAX, Effort, Piece, common_runs, word_diff

_words = st.lists(st.sampled_from("abc"), max_size=12)
_texts = st.text(alphabet="ab \n.", max_size=30)


@given(_words, _words)
def test_common_runs_are_as_long_as_they_can_be(before: list[str], after: list[str]) -> None:
    """In order, the same in both, and together as long as the longest common subsequence, found by a table."""
    runs = common_runs(before, after, Effort())
    old = new = 0
    for run in runs:
        assert run.length > 0
        assert run.before >= old
        assert run.after >= new
        assert before[run.before : run.before + run.length] == after[run.after : run.after + run.length]
        old, new = run.before + run.length, run.after + run.length
    assert sum(run.length for run in runs) == longest_common(before, after)


@given(_texts, _texts, st.sampled_from([0, 3, EFFORT_STEPS_MAX]))
def test_word_diff_holds_both_texts(before: str, after: str, steps: int) -> None:
    """Without what was put in it is the one, without what was taken out the other; also where the effort is used up."""
    pieces = word_diff(before, after, Effort(steps))
    assert "".join(piece.text for piece in pieces if piece.sign != "+") == before
    assert "".join(piece.text for piece in pieces if piece.sign != "-") == after
    assert all(piece.text for piece in pieces)


def test_word_diff_keeps_changed_words_together() -> None:
    """A blank between two changed words is no piece of its own."""
    assert word_diff("Draw the old map now", "Draw a new map now", Effort()) == [
        Piece(" ", "Draw "),
        Piece("-", "the old"),
        Piece("+", "a new"),
        Piece(" ", " map now"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [("x " * 32_000, "x 1 " * 16_000), ("." * 65_000, ".," * 32_000), ("ab " * 20_000, "ba " * 20_000)],
    ids=["repeated words", "repeated signs", "nothing in common"],
)
def test_long_texts_take_no_more_than_the_effort(before: str, after: str) -> None:
    """The square of 64 KiB would be minutes; what is left then is what both begin and end with, and all between."""
    effort = Effort()
    pieces = word_diff(before, after, effort)
    assert -len(before) <= effort.steps < EFFORT_STEPS_MAX
    assert len(pieces) <= 4
    assert word_diff(before, after, effort) == pieces


def test_text_that_was_only_added_takes_no_effort() -> None:
    """Long as it may be: what both begin and end with says it all, and the effort is left for others."""
    effort = Effort()
    added = "ab " * 20_000
    assert word_diff("from to", f"from {added}to", effort) == [Piece(" ", "from "), Piece("+", added), Piece(" ", "to")]
    assert effort.steps == EFFORT_STEPS_MAX


def longest_common(before: list[str], after: list[str]) -> int:
    table = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for row, old in enumerate(before):
        for column, new in enumerate(after):
            if old == new:
                table[row + 1][column + 1] = table[row][column] + 1
            else:
                table[row + 1][column + 1] = max(table[row][column + 1], table[row + 1][column])
    return table[-1][-1]
