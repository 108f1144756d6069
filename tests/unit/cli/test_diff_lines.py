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


def test_links_show_those_that_came_and_went() -> None:
    """By the beginnings of their ids, and not those that stayed."""
    first, second, third = (
        task_id(number).replace("0000", f"{number}{number}{number}{number}", 1) for number in (1, 2, 3)
    )
    shown = [("-11110000", "red"), (" ", ""), ("+33330000", "green")]
    assert changed({"needs": (first, second)}, {"needs": (second, third)}) == shown


def test_highest_priority_has_a_colour() -> None:
    """0 is a value, and not nothing; times are the user's."""
    assert changed({}, {"priority": 0}) == [("2", "red"), (" → ", ""), ("0", "green")]
    due = [("—", ""), (" → ", ""), ("2026-11-24 06:00:00 UTC", "green")]
    assert changed({}, {"due_ms": 1_795_500_000_000}) == due


def test_long_names_of_fields_stand_before_values_in_one_column() -> None:
    """The values of a task line up, whatever the fields are called."""
    task = TaskDiff(
        task_id=TASK,
        before=a_task(),
        after=a_task(priority=1, discovered_from=(task_id(1),)),
        states=[],
        agents=[],
        created_number=1,
        version_before=0,
        version_after=0,
    )
    assert len({len(head) for head, _ in field_lines(task, Effort())}) == 1


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
