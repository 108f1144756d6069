"""The lines of blame: each field with its value, and the event that set it."""

from __future__ import annotations

from cli.blame_lines import blame_lines
from ledger import LinkKind, TaskAnswered, TaskAsked, TaskCreated, TaskLinked, TaskPrioritised, TaskScheduled
from ledger.blame import blame
from tests.support.builders import TASK, recorded, task_id


def test_new_facts_have_their_value_and_their_event() -> None:
    """Links are short and stand with the event that brought them, times are the user's, and the names line up."""
    facts = [
        TaskCreated("a"),
        TaskPrioritised(0),
        TaskScheduled("2026-11-24T06:00:00.000Z", None),
        TaskLinked(LinkKind.DISCOVERED_FROM, TASK),
        TaskLinked(LinkKind.DISCOVERED_FROM, task_id(1)),
        TaskAsked("Which?", ("x", "y")),
        TaskAnswered("y"),
    ]
    _, blamed = blame(recorded(facts, task=task_id(9)))
    lines = [(head, str(body)) for head, body in blame_lines(blamed)]
    assert len({len(head) for head, _ in lines}) == 1
    shown = [(head.strip(), body.partition(",")[0] if body.startswith("event") else body) for head, body in lines]
    assert shown[-14:] == [
        ("priority", "0"),
        ("", "event 2"),
        ("due", "2026-11-24 06:00:00 UTC"),
        ("", "event 3"),
        ("discovered_from", "550e8400"),
        ("", "event 4"),
        ("", "00000000"),
        ("", "event 5"),
        ("question", "Which?"),
        ("", "event 6"),
        ("choices", "x, y"),
        ("", "event 6"),
        ("answer", "y"),
        ("", "event 7"),
    ]
