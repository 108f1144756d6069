"""The lines of a diff: what a field was and is, each in its own colour."""

from __future__ import annotations

from typing import Any

from cli.diff_lines import field_lines
from cli.styled import Styled
from ledger import Effort
from projections import TaskDiff
from tests.support.builders import TASK, a_task, task_id


def test_value_with_an_arrow_stays_on_its_side() -> None:
    """What a field was is red and what it is now is green, whatever they say; nothing has no colour."""
    assert changed({"alias": "a → b"}, {}) == [("a → b", "red"), (" → ", ""), ("—", "")]
    assert changed({}, {"alias": "a → b"}) == [("—", ""), (" → ", ""), ("a → b", "green")]
    assert changed({"alias": "a → b"}, {"alias": "c"}) == [("a → b", "red"), (" → ", ""), ("c", "green")]


def test_parents_are_named_by_the_beginning_of_their_ids() -> None:
    """As in a history, also where a task moved from one to another."""
    first, second = task_id(1), task_id(2)
    shown = [(first[:8], "red"), (" → ", ""), (second[:8], "green")]
    assert changed({"parent_id": first}, {"parent_id": second}) == shown


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """The pieces of the one line of a task that was and is like this."""
    found = TaskDiff(
        task_id=TASK,
        before=a_task(**before),
        after=a_task(**after),
        states=[],
        agents=[],
        created_number=1,
        version_before=0,
        version_after=0,
    )
    [(_, words)] = field_lines(found, Effort())
    assert isinstance(words, Styled)
    return list(words.pieces)
