"""Blame: each field, line and tag of a task with the event that brought it."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import (
    Event,
    LinkKind,
    RecordedEvent,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskLinked,
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
)
from ledger.blame import Blamed, blame
from tests.support.builders import recorded, task_id


def test_each_field_names_the_event_that_made_it_so() -> None:
    """The last one that changed it; an emptied field names the event that emptied it, one that never held anything is left out."""
    found = blamed(
        TaskCreated("a"), TaskAssigned("ada"), TaskNoted("n"), TaskRequeued(), TaskAssigned("bob"), TaskStarted()
    )
    assert versions(found) == {
        "description": 1,
        "state": 6,
        "assigned_to": 5,
        "created_at": 1,
        "updated_at": 6,
        "started_at": 6,
        "version": 6,
        "position": 6,
        "created_number": 1,
    }
    emptied = blamed(TaskCreated("a"), TaskAssigned("ada"), TaskRequeued())
    assert next((each.value, each.event.version) for each in emptied if each.field == "assigned_to") == (None, 3)


def test_each_line_of_a_text_names_the_event_that_brought_it() -> None:
    """A line that stays is its first event's, wherever it stands; one that comes back is the newer event's."""
    found = blamed(
        TaskCreated("one\ntwo\nthree"),
        TaskDescribed("zero\none\ntwo\nfour"),
        TaskDescribed("zero\none\ntwo\nfour\nthree"),
    )
    assert parts(found, "description") == [("zero", 2), ("one", 1), ("two", 1), ("four", 2), ("three", 3)]


def test_line_keeps_its_event_where_a_text_grows_from_it() -> None:
    """From a text of one line to one of several, and back."""
    assert parts(blamed(TaskCreated("one"), TaskDescribed("one\ntwo")), "description") == [("one", 1), ("two", 2)]
    back = blamed(TaskCreated("one\ntwo"), TaskDescribed("one"))
    assert parts(back, "description") == []
    assert versions(back)["description"] == 2


def test_each_tag_names_the_event_that_brought_it() -> None:
    """Also where others came and went."""
    found = blamed(
        TaskCreated("a", tags=("x",)), TaskTagged(("y",), ()), TaskTagged(("z",), ("x",)), TaskTagged(("x",), ())
    )
    assert parts(found, "tags") == [("x", 4), ("y", 2), ("z", 3)]


def test_priority_and_times_name_the_event_that_set_them() -> None:
    """What nobody set has no event, and what was set back has the one that did it."""
    due = "2026-11-24T06:00:00.000Z"
    plain = versions(blamed(TaskCreated("a")))
    assert not {"priority", "due", "not_before", "needs", "question"} & set(plain)
    found = blamed(
        TaskCreated("a"), TaskPrioritised(0), TaskScheduled(due, due), TaskPrioritised(2), TaskScheduled(due, None)
    )
    shown = {each.field: (each.value, each.event.version) for each in found}
    assert (shown["priority"], shown["due"], shown["not_before"]) == ((2, 4), (due, 3), (None, 5))


def test_each_link_names_the_event_that_brought_it() -> None:
    """As tags do; a question, its choices and the answer have their own."""
    ids = [task_id(number) for number in (7, 8, 9)]
    on = [TaskLinked(LinkKind.NEEDS, each) for each in ids]
    found = blamed(
        TaskCreated("a"), on[1], on[2], on[0], TaskUnlinked(LinkKind.NEEDS, ids[2]), TaskAsked("?", ("b", "a"))
    )
    assert parts(found, "needs") == [(ids[0], 4), (ids[1], 2)]
    assert parts(found, "choices") == [("b", 6), ("a", 6)]
    answered = blamed(TaskCreated("a"), TaskAsked("?"), TaskAnswered("yes"))
    assert (versions(answered)["question"], versions(answered)["answer"]) == (2, 3)


def test_life_begins_anew_after_a_removal() -> None:
    """A task that came back owes nothing to its earlier life; one that is gone has nothing to blame."""
    first = (TaskCreated("a"), TaskAssigned("ada"), TaskStarted(), TaskCompleted("Done"), TaskReopened(), TaskRemoved())
    task, found = blame(recorded(first))
    assert (task, found) == (None, [])
    assert versions(blamed(*first, TaskCreated("a"))) == dict.fromkeys(
        ("description", "state", "created_at", "updated_at", "version", "position", "created_number"), 7
    )


def test_damage_names_the_event_that_no_command_can_make() -> None:
    """The first one; what comes after it changes only version and position."""
    found = blamed(TaskCreated("a"), TaskCompleted("x"), TaskAssigned("ada"))
    assert versions(found)["damaged_at"] == 2
    assert versions(found)["state"] == 1
    assert versions(found)["position"] == 3


def blamed(*facts: Event) -> list[Blamed]:
    task, found = blame(recorded(facts))
    assert task is not None
    return found


def versions(found: Sequence[Blamed]) -> dict[str, int]:
    return {each.field: each.event.version for each in found}


def parts(found: Sequence[Blamed], field: str) -> list[tuple[str, int]]:
    [wanted] = [each for each in found if each.field == field]
    return [(text, version_of(event)) for text, event in wanted.parts]


def version_of(event: RecordedEvent) -> int:
    return event.version
