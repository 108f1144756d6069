"""The texts of a task, and how well they fit: what is there now, what was there, and since and until when."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from ledger import (
    Event,
    Position,
    RecordedEvent,
    SequenceGapError,
    State,
    TaskAdopted,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskStarted,
    TaskTagged,
)
from projections import TaskFilter
from projections.search.query import Query, score
from projections.search.texts import Place, TaskTexts, texts_of
from tests.support.builders import TASK, recorded

CREATED = TaskCreated("Title\n\nThe body", tags=("a", "b"), alias="bd-1")


def texts(facts: Iterable[Event] | list[RecordedEvent]) -> TaskTexts:
    events = [fact for fact in facts if isinstance(fact, RecordedEvent)]
    found = texts_of(events or recorded(fact for fact in facts if isinstance(fact, Event)))
    assert found is not None
    return found


def present(found: TaskTexts) -> set[tuple[Place, str]]:
    return {(text.place, text.text) for text in found.texts if text.until is None}


def former(found: TaskTexts) -> list[tuple[Place, str, int, int]]:
    """Place, text, and the numbers of the events that wrote and ended it."""
    return [
        (text.place, text.text, Position(text.at).seq, Position(text.until).seq) for text in found.texts if text.until
    ]


def test_new_task_has_title_body_alias_and_tags() -> None:
    """The title is the first line that is not empty, and the body is the rest."""
    assert present(texts([CREATED])) == {
        (Place.TITLE, "Title"),
        (Place.BODY, "The body"),
        (Place.ALIAS, "bd-1"),
        (Place.TAG, "a"),
        (Place.TAG, "b"),
    }
    assert present(texts([TaskCreated("\n\r\n One \r\ntwo")])) == {(Place.TITLE, "One"), (Place.BODY, "two")}


def test_description_is_replaced_by_parts() -> None:
    """A title that stays is still that of the event that wrote it."""
    found = texts([CREATED, TaskDescribed("Title\nAnother"), TaskDescribed("New")])
    assert present(found) >= {(Place.TITLE, "New")}
    assert former(found) == [
        (Place.TITLE, "Title", 1, 3),
        (Place.BODY, "The body", 1, 2),
        (Place.BODY, "Another", 2, 3),
    ]


def test_results_errors_notes_and_reasons_are_texts() -> None:
    """A result goes when the task is reopened; notes and reasons stay."""
    events = recorded(
        [
            TaskCreated("x"),
            TaskAssigned("ada"),
            TaskStarted(),
            TaskNoted("halfway"),
            TaskCompleted("shipped"),
            TaskReopened(),
            TaskAssigned("ada"),
            TaskStarted(),
            TaskFailed("broke"),
        ]
    )
    events[5] = replace(events[5], reason="not good")
    found = texts(events)
    assert present(found) == {
        (Place.TITLE, "x"),
        (Place.NOTE, "halfway"),
        (Place.REASON, "not good"),
        (Place.RESULT, "broke"),
    }
    assert former(found) == [(Place.RESULT, "shipped", 5, 6)]


def test_question_and_answer_are_texts_until_the_next_question() -> None:
    """The same question again keeps its text and ends its answer."""
    found = texts([CREATED, TaskAsked("Which?", ("x",)), TaskAnswered("red"), TaskAsked("Which?"), TaskAsked("When?")])
    assert (Place.QUESTION, "When?") in present(found)
    assert not {text for place, text in present(found) if place is Place.ANSWER}
    assert former(found) == [(Place.QUESTION, "Which?", 2, 5), (Place.ANSWER, "red", 3, 4)]


def test_tags_come_and_go_one_by_one() -> None:
    """A tag that stays is not written again."""
    found = texts([CREATED, TaskTagged(added=("c",), removed=("a",))])
    assert {text for place, text in present(found) if place is Place.TAG} == {"b", "c"}
    assert former(found) == [(Place.TAG, "a", 1, 2)]


def test_removal_ends_all_texts_and_a_return_begins_anew() -> None:
    """Also the reason of the removal is of a task that is gone."""
    events = recorded([TaskCreated("x"), TaskNoted("n"), TaskRemoved(), TaskCreated("y")])
    events[2] = replace(events[2], reason="never needed")
    gone = texts(events[:3])
    assert present(gone) == set()
    assert gone.task is None
    assert former(gone) == [(Place.TITLE, "x", 1, 3), (Place.NOTE, "n", 2, 3), (Place.REASON, "never needed", 3, 3)]
    back = texts(events)
    assert present(back) == {(Place.TITLE, "y")}
    assert former(back) == former(gone)
    assert back.number == 1


def test_adopted_task_has_the_texts_of_its_record() -> None:
    """Its result too."""
    record = TaskAdopted(
        records=(),
        description="Old",
        state=State.COMPLETED,
        created_at="2026-01-01T00:00:00.000Z",
        updated_at="2026-01-01T00:00:00.000Z",
        result="was done",
        tags=("legacy",),
    )
    found = present(texts([record]))
    assert found == {(Place.TITLE, "Old"), (Place.RESULT, "was done"), (Place.TAG, "legacy")}


def test_event_that_no_command_can_make_changes_no_text() -> None:
    """Nor does a later one: the task is searched as it is shown."""
    found = texts([TaskCreated("x"), TaskCompleted("never ran"), TaskNoted("later")])
    assert present(found) == {(Place.TITLE, "x")}
    assert found.task is not None
    assert found.task.damaged_at is not None
    flawed = texts([TaskCreated("  "), TaskNoted("later")])
    assert (flawed.task, flawed.texts) == (None, [])


def test_missing_version_is_told() -> None:
    """As a fold tells it."""
    events = recorded([TaskCreated("x"), TaskNoted("1"), TaskNoted("2")])
    with pytest.raises(SequenceGapError):
        texts_of([events[0], events[2]])


@pytest.mark.parametrize(
    "worse",
    [
        [TaskCreated("zz", alias="login")],
        [TaskCreated("zz", tags=("login",))],
        [TaskCreated("zz\nlogin")],
        [TaskCreated("zz"), TaskNoted("login")],
        [TaskCreated("loginpage")],
    ],
)
def test_title_with_the_word_is_best(worse: list[Event]) -> None:
    """Above every other place, and above a title with a word that begins with it."""
    query = Query.of(["login"])
    best, other = score(texts([TaskCreated("The login")]), query), score(texts(worse), query)
    assert best is not None
    assert other is not None
    assert best > other


def test_every_word_is_needed_wherever_it_is() -> None:
    """In texts of different places; what was changed since counts only if that is asked for."""
    found = texts([TaskCreated("One two"), TaskNoted("three"), TaskDescribed("four")])
    assert score(found, Query.of(["four", "thr"])) is not None
    assert score(found, Query.of(["four", "five"])) is None
    assert score(found, Query.of(["one", "three"])) is None
    assert score(found, Query.of(["one", "three"], is_ever=True)) is not None


def test_removed_task_meets_no_condition() -> None:
    """It has no state, agent or tags any more."""
    gone = texts([TaskCreated("One", tags=("a",)), TaskRemoved()])
    assert score(gone, Query.of(["one"], is_ever=True)) is not None
    assert score(gone, Query.of(["one"], TaskFilter(tag="a"), is_ever=True)) is None
    assert score(gone, Query.of(["one"])) is None
    assert gone.number == recorded([CREATED], task=TASK)[0].position.seq
